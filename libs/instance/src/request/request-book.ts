// Every request the instance answers for, by id: from acceptance until its last token is acknowledged.
//
// 1. At most one request per id, the one with the highest epoch seen.
// 2. A finished request stays until all its tokens are acknowledged, at most RETENTION_MS.
// 3. Whatever leaves the book holds no slot: its blocks are free or wait for the step that releases them.
import type { RunningSet } from '../batch/running-set.ts'
import { compareEpochs } from '../epoch.ts'
import type { AbortMessage, AckMessage, ResendMessage } from '../messages.ts'
import type { Outbox } from '../report/outbox.ts'
import type { SharedTimer } from '../report/shared-timer.ts'
import type { InstanceRequest, Sequence } from './request.ts'
import type { WaitingQueue } from './waiting-queue.ts'

const RETENTION_MS = 10_000

export interface BookParts {
  readonly waiting: WaitingQueue
  readonly running: RunningSet
  readonly outbox: Outbox
  readonly expiry: SharedTimer
}

export class RequestBook {
  readonly #parts: BookParts
  readonly #requests = new Map<string, InstanceRequest>()

  constructor(parts: BookParts) {
    this.#parts = parts
  }

  get size(): number {
    return this.#requests.size
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
  drop(request: InstanceRequest): void {
    const { waiting, running } = this.#parts
    if (request.state === 'waiting') waiting.remove(request)
    running.retireAll(request)
    request.state = 'dropped'
    for (const sequence of request.sequences) sequence.state = 'dropped'
    request.live = []
    request.sequences = []
    if (this.#requests.get(request.message.requestId) === request) this.#requests.delete(request.message.requestId)
  }

  /** All choices ended: the tokens stay for the router to acknowledge. */
  end(request: InstanceRequest, nowMs: number): void {
    request.state = 'finished'
    request.expiresAtMs = nowMs + RETENTION_MS
    this.#parts.expiry.wakeBy(request.expiresAtMs, nowMs)
    this.#dropIfSettled(request)
  }

  /** Aborts of older epochs than the current one are stale. */
  abort({ requestId, epoch, sequence: index }: AbortMessage, nowMs: number): void {
    const request = this.#requests.get(requestId)
    if (request === undefined || compareEpochs(epoch, request.message.epoch) < 0) return
    if (index === null) this.drop(request)
    else {
      const sequence = request.sequences.find((candidate) => candidate.index === index)
      if (sequence !== undefined) this.#abortChoice(request, sequence, nowMs)
    }
  }

  acknowledge({ acks }: AckMessage): void {
    for (const { requestId, epoch, sequence, nextIndex } of acks) {
      const request = this.#current(requestId, epoch)
      request?.sequences.find(({ index }) => index === sequence)?.log.acknowledge(nextIndex)
      if (request?.state === 'finished') this.#dropIfSettled(request)
    }
  }

  resend({ requestId, epoch, sequence: index, fromIndex }: ResendMessage): void {
    const sequence = this.#current(requestId, epoch)?.sequences.find((candidate) => candidate.index === index)
    const run = sequence?.log.runFrom(fromIndex) ?? null
    if (sequence !== undefined && run !== null) this.#parts.outbox.add(sequence, run)
  }

  /** Drops what is past its deadline or its retention, and sets the timer for the next. O(requests). */
  expire(nowMs: number): void {
    let nextMs: number | null = null
    for (const request of this.#requests.values()) {
      const { expiresAtMs } = request
      if (expiresAtMs === null) continue
      if (expiresAtMs <= nowMs) this.drop(request)
      else nextMs = Math.min(nextMs ?? expiresAtMs, expiresAtMs)
    }
    if (nextMs !== null) this.#parts.expiry.wakeBy(nextMs, nowMs)
  }

  /** A lead that is aborted during the prompt keeps its slot to run it for the others. */
  #abortChoice(request: InstanceRequest, sequence: Sequence, nowMs: number): void {
    if (request.sequences.length === 1) {
      this.drop(request)
      return
    }
    const wasLive = request.live.includes(sequence)
    sequence.state = 'dropped'
    request.sequences = request.sequences.filter((other) => other !== sequence)
    request.live = request.live.filter((other) => other !== sequence)
    if (request.lead !== sequence || request.live.length === 0) this.#parts.running.retire(sequence)
    if (wasLive && request.live.length === 0) {
      if (request.state === 'waiting') this.#parts.waiting.remove(request)
      this.#parts.running.retireAll(request)
      this.end(request, nowMs)
    } else if (request.state === 'finished') this.#dropIfSettled(request)
  }

  #current(requestId: string, epoch: AbortMessage['epoch']): InstanceRequest | undefined {
    const request = this.#requests.get(requestId)
    return request !== undefined && compareEpochs(epoch, request.message.epoch) === 0 ? request : undefined
  }

  #dropIfSettled(request: InstanceRequest): void {
    if (request.sequences.every(({ log }) => log.isSettled)) this.drop(request)
  }
}
