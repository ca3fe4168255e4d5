// Every request the instance answers for, by id: from acceptance until nobody can ask for its tokens any more.
//
// 1. At most one request per id.
// 2. A finished request keeps its tokens, and nothing else, for RETENTION_MS, acknowledged or not: the client of a router that
//    dies comes back with another one. At most MAX_FINISHED of them; the oldest go first.
// 3. A request whose router is gone goes on without sending, until another router attaches or its time as an orphan is over.
// 4. Whatever leaves the book holds no slot: its blocks are free or wait for the step that releases them.
import type { Address } from '@rubato/actor'
import type { RunningSet } from '../batch/running-set.ts'
import { compareEpochs } from '../epoch.ts'
import type { AbortMessage, AckMessage, ResendMessage } from '../messages.ts'
import type { Outbox } from '../report/outbox.ts'
import type { SharedTimer } from '../report/shared-timer.ts'
import type { InstanceRequest, Sequence } from './request.ts'
import type { WaitingQueue } from './waiting-queue.ts'

const RETENTION_MS = 10_000
const MAX_FINISHED = 4096

export interface BookParts {
  readonly waiting: WaitingQueue
  readonly running: RunningSet
  readonly outbox: Outbox
  readonly expiry: SharedTimer
  /** The request ends or is dropped; it still has its tokens. */
  readonly onLeave: (request: InstanceRequest, nowMs: number) => void
  /** One choice was aborted, others go on. */
  readonly onChoiceLeave: (request: InstanceRequest, index: number, nowMs: number) => void
}

export class RequestBook {
  readonly #parts: BookParts
  readonly #requests = new Map<string, InstanceRequest>()
  /** In the order they end, which is the order they are forgotten in but for orphans. */
  readonly #finished = new Set<InstanceRequest>()

  constructor(parts: BookParts) {
    this.#parts = parts
  }

  get(requestId: string): InstanceRequest | undefined {
    return this.#requests.get(requestId)
  }

  [Symbol.iterator](): Iterator<InstanceRequest> {
    return this.#requests.values()
  }

  add(request: InstanceRequest, nowMs: number): void {
    this.#requests.set(request.message.requestId, request)
    if (request.expiresAtMs !== null) this.#parts.expiry.wakeBy(request.expiresAtMs, nowMs)
  }

  /** Forgets a request at once; running choices are released with the next step. */
  drop(request: InstanceRequest, nowMs: number): void {
    const { waiting, running, onLeave } = this.#parts
    if (request.state !== 'finished') onLeave(request, nowMs)
    if (request.state === 'waiting') waiting.remove(request)
    running.retireAll(request)
    request.state = 'dropped'
    for (const sequence of request.sequences) sequence.state = 'dropped'
    request.live = []
    request.sequences = []
    this.#finished.delete(request)
    if (this.#requests.get(request.message.requestId) === request) this.#requests.delete(request.message.requestId)
  }

  /** All choices ended: the tokens stay for a while. */
  end(request: InstanceRequest, nowMs: number): void {
    this.#parts.onLeave(request, nowMs)
    request.state = 'finished'
    request.deadlineAtMs = null
    request.forgetAtMs ??= nowMs + RETENTION_MS
    this.#parts.expiry.wakeBy(request.forgetAtMs, nowMs)
    this.#finished.add(request)
    if (this.#finished.size <= MAX_FINISHED) return
    const [oldest] = this.#finished
    if (oldest !== undefined) this.drop(oldest, nowMs)
  }

  /** Aborts of an older recovery are stale; hops do not matter, since a hand-off is none of the router's doing. */
  abort({ requestId, epoch, sequence: index }: AbortMessage, nowMs: number): void {
    const request = this.#requests.get(requestId)
    if (request === undefined || epoch.recovery < request.message.epoch.recovery) return
    if (index === null) this.drop(request, nowMs)
    else {
      const sequence = request.sequences.find((candidate) => candidate.index === index)
      if (sequence !== undefined) this.#abortChoice(request, sequence, nowMs)
    }
  }

  acknowledge({ acks }: AckMessage): void {
    for (const { requestId, epoch, sequence, nextIndex } of acks) {
      this.#current(requestId, epoch)?.sequences.find(({ index }) => index === sequence)?.log.acknowledge(nextIndex)
    }
  }

  /** What was acknowledged to its end is not sent again. Its router may not know of the hops since. */
  resend({ requestId, epoch, sequence: index, fromIndex }: ResendMessage): void {
    const request = this.#requests.get(requestId)
    const isOwn = request !== undefined && request.message.epoch.recovery === epoch.recovery && request.message.epoch.hop >= epoch.hop
    const sequence = (isOwn ? request : undefined)?.sequences.find((candidate) => candidate.index === index)
    const run = sequence === undefined || sequence.log.isSettled ? null : sequence.log.runFrom(fromIndex)
    if (sequence !== undefined && run !== null) this.#parts.outbox.add(sequence, run)
  }

  /** The router is gone: its requests wait for another one, `ttlMs` at most. O(requests). */
  orphan(router: Address, ttlMs: number, nowMs: number): void {
    for (const request of this.#requests.values()) if (request.replyTo === router) this.orphanOne(request, ttlMs, nowMs)
  }

  orphanOne(request: InstanceRequest, ttlMs: number, nowMs: number): void {
    if (request.isOrphan) return
    request.isOrphan = true
    request.forgetAtMs = Math.min(request.forgetAtMs ?? nowMs + ttlMs, nowMs + ttlMs)
    this.#parts.expiry.wakeBy(request.forgetAtMs, nowMs)
  }

  /** Another router has it now. */
  adopt(request: InstanceRequest, router: Address, nowMs: number): void {
    request.replyTo = router
    request.isOrphan = false
    request.forgetAtMs = request.state === 'finished' ? nowMs + RETENTION_MS : null
    if (!this.#finished.delete(request)) return
    this.#finished.add(request)
    this.#parts.expiry.wakeBy(nowMs + RETENTION_MS, nowMs)
  }

  /** Drops what is past its deadline or its retention, and sets the timer for the next. O(requests). */
  expire(nowMs: number): void {
    let nextMs: number | null = null
    for (const request of this.#requests.values()) {
      const { expiresAtMs } = request
      if (expiresAtMs === null) continue
      if (expiresAtMs <= nowMs) this.drop(request, nowMs)
      else nextMs = Math.min(nextMs ?? expiresAtMs, expiresAtMs)
    }
    if (nextMs !== null) this.#parts.expiry.wakeBy(nextMs, nowMs)
  }

  /** A lead that is aborted during the prompt keeps its slot to run it for the others. */
  #abortChoice(request: InstanceRequest, sequence: Sequence, nowMs: number): void {
    if (request.sequences.length === 1) {
      this.drop(request, nowMs)
      return
    }
    const wasLive = request.live.includes(sequence)
    sequence.state = 'dropped'
    request.sequences = request.sequences.filter((other) => other !== sequence)
    request.live = request.live.filter((other) => other !== sequence)
    if (request.lead !== sequence || request.live.length === 0) this.#parts.running.retire(sequence)
    this.#parts.onChoiceLeave(request, sequence.index, nowMs)
    if (!wasLive || request.live.length > 0) return
    if (request.state === 'waiting') this.#parts.waiting.remove(request)
    this.#parts.running.retireAll(request)
    this.end(request, nowMs)
  }

  #current(requestId: string, epoch: AbortMessage['epoch']): InstanceRequest | undefined {
    const request = this.#requests.get(requestId)
    return request !== undefined && compareEpochs(epoch, request.message.epoch) === 0 ? request : undefined
  }
}
