// Live requests that leave this instance: who asks for it, who goes, how it ended.
//
//   asked -> chosen -> (hand-off/source.ts: reserving -> stages -> suspended -> handed) -> taken -> next one, while the pairing holds
//                                                     |
//                                                     +-- kept, lost: the pairing ends
//
// 1. At most `maxMigrations` are on their way, in and out together.
// 2. A pairing never outlives its time, its destination or a failure.
import type { Address } from '@rubato/actor'
import type { RunningSet } from '../batch/running-set.ts'
import type { HandOffDestination } from '../hand-off/destination.ts'
import type { OutgoingHandOff } from '../hand-off/outgoing.ts'
import type { HandOffSource } from '../hand-off/source.ts'
import type { InstanceConfig } from '../instance-config.ts'
import type { MigrateMessage, MigrationCounts } from '../messages.ts'
import { chooseRequest, isMovable } from './choice.ts'
import type { MovedRequests } from './moved.ts'

/** `taken`: it moved. `lost`: the destination died when it may have had it. All others: it stays. */
export type MoveEnd = 'taken' | 'declined' | 'silent' | 'link_failed' | 'gone' | 'preempted' | 'ended' | 'attached' | 'lost'

interface Way {
  readonly to: Address
  readonly maxStages: number
}

/** While it decodes. */
const MAX_STAGES = 3

export interface MigrationParts {
  readonly config: InstanceConfig
  readonly running: RunningSet
  readonly source: HandOffSource
  readonly destination: HandOffDestination
  readonly moved: MovedRequests
}

export class Migrations {
  readonly #parts: MigrationParts
  /** Whom requests go to one after another. */
  #pairing: { readonly way: Way; readonly untilMs: number } | null = null
  #inTotal = 0
  #outTotal = 0
  #abortedTotal = 0
  #downtimeMsTotal = 0

  constructor(parts: MigrationParts) {
    this.#parts = parts
  }

  /** A new pairing takes the place of the one there was. */
  ask({ requestId, to, forMs, maxStages = MAX_STAGES }: MigrateMessage, nowMs: number): void {
    const { config, running } = this.#parts
    if (to.address === config.address || (config.kvShipping ?? null) === null) return
    const way = { to: to.address, maxStages }
    if (requestId === null) {
      if (forMs > 0) this.#pairing = { way, untilMs: nowMs + forMs }
      this.#start(way, nowMs)
      return
    }
    const request = running.admitted.find(({ message }) => message.requestId === requestId)
    if (request !== undefined && isMovable(request) && !this.#isBusy) this.#parts.source.move(request, way, nowMs)
  }

  /** After a step: the pairing may have room for the next request. */
  next(nowMs: number): void {
    if (this.#pairing === null) return
    if (nowMs < this.#pairing.untilMs) this.#start(this.#pairing.way, nowMs)
    else this.#pairing = null
  }

  gone(address: Address): void {
    if (this.#pairing?.way.to === address) this.#pairing = null
    this.#parts.moved.gone(address)
  }

  /** A request came in. */
  took(): void {
    this.#inTotal++
  }

  ended(outgoing: OutgoingHandOff, end: MoveEnd, nowMs: number): void {
    const { request, to, epoch } = outgoing
    if (end === 'taken') {
      this.#outTotal++
      this.#downtimeMsTotal += nowMs - (outgoing.live?.suspendedMs ?? nowMs)
      this.#parts.moved.note(outgoing)
      return
    }
    this.#abortedTotal++
    if (this.#pairing?.way.to === to && end !== 'ended' && end !== 'preempted') this.#pairing = null
    if (end === 'lost') this.#parts.moved.tellLost(request.message.requestId, request.replyTo, epoch)
  }

  counts(): MigrationCounts {
    const numActive = this.#parts.source.numMoving + this.#parts.destination.numLive
    return { numActive, inTotal: this.#inTotal, outTotal: this.#outTotal, abortedTotal: this.#abortedTotal, downtimeMsTotal: this.#downtimeMsTotal }
  }

  get #isBusy(): boolean {
    const { config, source, destination } = this.#parts
    return source.numMoving + destination.numLive >= (config.maxMigrations ?? 1)
  }

  #start(way: Way, nowMs: number): void {
    if (this.#isBusy) return
    const request = chooseRequest(this.#parts.running.admitted)
    if (request !== null) this.#parts.source.move(request, way, nowMs)
  }
}
