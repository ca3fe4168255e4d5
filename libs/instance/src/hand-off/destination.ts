// Takes over requests whose prompts other instances compute, or that decode there: makes room, pulls the KV, goes on decoding.
//
//   reserve -> waiting -> reserved -> (hand-off, all blocks installed) taken
//                 |           |
//                 +-- no room here, and it is live or this instance waits for room in the source --> declined, closed
//                             +-- live: no room for what it grew by --> declined, closed
//                 +-----------+-- aborted, superseded, source gone, 10 s without a word --> closed
//                             +-- handed, but blocks cannot be had --> declined under the raised epoch, closed
//
// 1. Room is given first come first served, for the prompt of all choices or not at all, and never before a request that was
//    preempted here.
// 2. Reserved blocks are held by the reservation's slots, and past its end until no install writes them any more.
// 3. A live request gets room at once or not at all, and what it grows by with the offer of it.
// 4. A source that is silent for a second is told what is reserved for it: one that knows nothing of it answers with an abort.
// 5. What was answered to a hand-off stays answered: a taken one is taken for every repeat, a declined one never runs here.
import type { Address, Completion } from '@rubato/actor'
import type { BlockPool } from '@rubato/kv'
import type { Admission } from '../batch/admission.ts'
import type { PrefixWriter } from '../batch/prefix-writer.ts'
import type { RunningSet } from '../batch/running-set.ts'
import type { EffectList } from '../effects.ts'
import { compareEpochs } from '../epoch.ts'
import type { InstanceConfig } from '../instance-config.ts'
import type { AbortMessage, Epoch } from '../messages.ts'
import type { DeclinedMessage, HandOffMessage, OfferMessage, ReserveMessage } from '../peer-messages.ts'
import type { SharedTimer } from '../report/shared-timer.ts'
import { InstanceRequest } from '../request/request.ts'
import type { WaitingQueue } from '../request/waiting-queue.ts'
import type { BlockTrack } from './block-track.ts'
import { Pulls } from './pulls.ts'
import type { Pull } from './pulls.ts'
import { Reservation } from './reservation.ts'
import { SettledHandOffs } from './settled.ts'
import { MAX_ATTEMPTS, REPEAT_MS, SILENCE_MS } from './source.ts'

/** Spans of a request that moved are told apart from those it had before: its former instances made fewer than this. */
const MOVED_SPANS = 100_000

export interface DestinationParts {
  readonly config: InstanceConfig
  readonly pool: BlockPool
  readonly waiting: WaitingQueue
  readonly running: RunningSet
  readonly admission: Admission
  readonly prefixes: PrefixWriter
  readonly effects: EffectList
  readonly timer: SharedTimer
  readonly giveSlots: (request: InstanceRequest) => void
  readonly nextArrival: () => number
  /** The epoch under which the instance answers for a request; null: it does not. */
  readonly heldEpoch: (requestId: string) => Epoch | null
  /** Whether requests of this instance wait for room in that one. */
  readonly waitsFor: (peer: Address) => boolean
  /** Requests of this instance that move elsewhere. */
  readonly numMoving: () => number
  /** The request is complete: it is this instance's now. */
  readonly onTaken: (request: InstanceRequest, isLive: boolean, nowMs: number) => void
  readonly onPulled: (pull: Pull, numBytes: number, nowMs: number) => void
}

export class HandOffDestination {
  readonly #parts: DestinationParts
  readonly #reservations = new Map<string, Reservation>()
  /** Ended, but the engine still writes some of their blocks. */
  readonly #closing = new Set<Reservation>()
  readonly #settled = new SettledHandOffs()
  readonly #pulls: Pulls
  #numWaiting = 0
  #numSequences = 0
  #bytesPerSec: number | null = null

  constructor(parts: DestinationParts) {
    this.#parts = parts
    this.#pulls = new Pulls(parts.effects, {
      onPulled: (pull, { bytes, bytesPerSec }, nowMs) => {
        this.#bytesPerSec = bytesPerSec
        parts.onPulled(pull, bytes.length, nowMs)
      },
      onFailed: (pull, message, nowMs) => this.#pullFailed(pull, message, nowMs),
      onInstalled: (pull, nowMs) => this.#installed(pull, nowMs),
    })
  }

  /** Live requests on their way here. */
  get numLive(): number {
    let count = 0
    for (const { isLive } of this.#reservations.values()) if (isLive) count++
    return count
  }

  /** Sequences that have their blocks and wait for their KV. */
  get numSequences(): number {
    return this.#numSequences
  }

  /** What pulls measured lately; null: none yet. */
  get bytesPerSec(): number | null {
    return this.#bytesPerSec
  }

  /** Block tables held, for integrity checks. */
  *tables(): Generator<readonly number[]> {
    for (const reservation of [...this.#reservations.values(), ...this.#closing]) yield* reservation.tables()
  }

  /** Throws when counts and reservations disagree. */
  assertIntegrity(): void {
    let numWaiting = 0
    let numSequences = 0
    for (const { phase, numSequences: count } of this.#reservations.values()) {
      if (phase === 'waiting') numWaiting++
      else numSequences += count
    }
    if (numWaiting !== this.#numWaiting || numSequences !== this.#numSequences) throw new Error(`hand-off: ${numWaiting} reservations wait and ${numSequences} sequences are reserved, counted ${this.#numWaiting} and ${this.#numSequences}`)
    for (const { numInstalling } of this.#closing) if (numInstalling === 0) throw new Error('hand-off: a closed reservation holds blocks that nobody writes')
  }

  /** Gives up every pull: the instance is at its end. */
  stop(): void {
    for (const reservation of this.#reservations.values()) this.#pulls.cancel(reservation)
  }

  /** The first request that waits for room; null: none does. */
  get firstWaiting(): InstanceRequest | null {
    if (this.#numWaiting === 0) return null
    for (const { phase, request } of this.#reservations.values()) if (phase === 'waiting') return request
    return null
  }

  epochOf(requestId: string): Epoch | null {
    return this.#reservations.get(requestId)?.epoch ?? null
  }

  reserve(message: ReserveMessage, from: Address, state: { readonly isDraining: boolean; readonly nowMs: number }): void {
    const { requestId, epoch } = message.request
    const { nowMs } = state
    const current = this.#reservations.get(requestId)
    if (current !== undefined && current.source === from && compareEpochs(current.epoch, epoch) === 0) return this.#remind(current, nowMs)
    const refusal = this.#refusal(message, current, state.isDraining)
    if (refusal !== null) return this.#decline(from, requestId, epoch, refusal)
    if (current !== undefined) this.#close(current)
    const { config, timer, nextArrival } = this.#parts
    const { isLive = false, kvAddress } = message
    const request = new InstanceRequest({ ...message.request, remainingMs: message.remainingMs }, { replyTo: message.router, arrivalOrder: nextArrival(), nowMs })
    request.state = 'reserved'
    request.mayHandOff = false
    request.numSpans = isLive ? MOVED_SPANS * (epoch.hop + 1) : 0
    this.#reservations.set(requestId, new Reservation(request, { source: from, kvAddress, isLive, blockSize: config.shape.blockSize, nowMs }))
    this.#numWaiting++
    timer.wakeBy(nowMs + REPEAT_MS, nowMs)
  }

  offer(message: OfferMessage, from: Address, nowMs: number): void {
    const reservation = this.#reserved(message.requestId, from)
    if (reservation === null || compareEpochs(message.epoch, reservation.epoch) !== 0) return
    reservation.lastHeardMs = nowMs
    const { firstBlock, numBlocks } = message
    const track = reservation.trackOf(message.sequence)
    if (track === null || !Number.isInteger(firstBlock) || firstBlock < 0 || !(numBlocks > 0)) return
    const endBlock = firstBlock + numBlocks
    if (endBlock > track.numBlocks && !reservation.isLive) return
    if (this.#grow(track, endBlock)) return this.#pulls.offer(reservation, track, message)
    this.#close(reservation)
    this.#decline(from, message.requestId, reservation.epoch, 'no_capacity')
  }

  /** A live choice's table follows what its source wrote meanwhile. False: no block is free, or it can be no request that fits. */
  #grow(track: BlockTrack, numBlocks: number): boolean {
    const { config, pool } = this.#parts
    const { table } = track.slot
    if (numBlocks > track.numBlocks) {
      if (numBlocks * table.blockSize > config.shape.maxModelLen + table.blockSize) return false
      const allocation = pool.allocate(numBlocks - track.numBlocks)
      if (allocation.kind === 'rejected') return false
      table.append(allocation.blockIds)
      track.grow(numBlocks)
    }
    return true
  }

  handOff(message: HandOffMessage, from: Address, nowMs: number): void {
    const { requestId, epoch } = message
    const settled = this.#settled.find(requestId, epoch)
    if (settled !== null) {
      const isTaken = settled.outcome === 'taken' && compareEpochs(settled.epoch, epoch) === 0
      if (isTaken) return this.#parts.effects.send(from, { kind: 'taken', requestId, epoch })
      return this.#decline(from, requestId, epoch, 'superseded')
    }
    const reservation = this.#reserved(requestId, from)
    if (reservation === null || !isNextHop(reservation.epoch, epoch)) {
      this.#settled.note(requestId, epoch, 'declined')
      return this.#decline(from, requestId, epoch, 'superseded')
    }
    reservation.lastHeardMs = nowMs
    reservation.handed = { message, atMs: reservation.handed?.atMs ?? nowMs }
    for (const { token } of this.#pulls.failed(reservation)) this.#sayNotPulled(reservation, token, 'the pull failed')
    this.#takeIfComplete(reservation, nowMs)
  }

  /** True when it was about a reservation. */
  abort({ requestId, epoch, sequence }: AbortMessage): boolean {
    const reservation = this.#reservations.get(requestId)
    if (reservation === undefined || epoch.recovery < reservation.epoch.recovery) return false
    if (sequence !== null) reservation.aborted.add(sequence)
    if (sequence === null || reservation.request.live.every(({ index }) => reservation.aborted.has(index))) this.#close(reservation)
    return true
  }

  /** A newer dispatch of the request came: what was reserved for an older one is of no use. */
  supersede(requestId: string): void {
    const reservation = this.#reservations.get(requestId)
    if (reservation !== undefined) this.#close(reservation)
  }

  /** Peers whose requests were taken already are none of its business any more. */
  gone(address: Address, routerGone: (request: InstanceRequest) => void): void {
    for (const reservation of this.#reservations.values()) {
      if (reservation.source === address) this.#close(reservation)
      else if (reservation.request.replyTo === address) routerGone(reservation.request)
    }
  }

  complete(completion: Completion, nowMs: number): 'handled' | 'engine-failed' | 'unknown' {
    return this.#pulls.complete(completion, nowMs)
  }

  /** Gives room to who waits longest, and starts pulls. */
  advance(nowMs: number): void {
    if (this.#numWaiting > 0) this.#grantWaiting()
    this.#pulls.start(nowMs)
  }

  #grantWaiting(): void {
    let isFull = false
    for (const reservation of this.#reservations.values()) {
      const { source, requestId, epoch, isLive } = reservation
      if (reservation.phase !== 'waiting' || (isFull && !isLive) || (!isFull && this.#grant(reservation))) continue
      if (!isLive && !this.#parts.waitsFor(source)) {
        isFull = true
        continue
      }
      this.#close(reservation)
      this.#decline(source, requestId, epoch, 'no_capacity')
    }
  }

  /** Ends what nobody speaks of any more. */
  tick(nowMs: number): void {
    for (const reservation of this.#reservations.values()) {
      const { handed, lastHeardMs, source, requestId, epoch } = reservation
      if (handed !== null && nowMs >= handed.atMs + SILENCE_MS) this.#giveBack(reservation)
      else if (nowMs >= lastHeardMs + SILENCE_MS) {
        this.#close(reservation)
        this.#decline(source, requestId, epoch, 'link_failed')
      } else if (reservation.phase === 'reserved' && nowMs >= lastHeardMs + REPEAT_MS) this.#sayReserved(reservation)
    }
    if (this.#reservations.size > 0) this.#parts.timer.wakeBy(nowMs + REPEAT_MS, nowMs)
  }

  #refusal({ request, isLive = false, modelFingerprint }: ReserveMessage, current: Reservation | undefined, isDraining: boolean): DeclinedMessage['reason'] | null {
    const { config, admission, heldEpoch } = this.#parts
    const held = heldEpoch(request.requestId)
    const isOld = (held !== null && compareEpochs(held, request.epoch) >= 0) || this.#settled.find(request.requestId, request.epoch) !== null
    if (isOld || (current !== undefined && compareEpochs(current.epoch, request.epoch) >= 0)) return 'superseded'
    if (isDraining) return 'draining'
    if (modelFingerprint !== config.shape.modelFingerprint) return 'other_model'
    if ((config.kvShipping ?? null) === null) return 'link_failed'
    const numLive = this.numLive - Number(current?.isLive ?? false)
    if (isLive && numLive + this.#parts.numMoving() >= (config.maxMigrations ?? 1)) return 'busy'
    return admission.refusal(request) === null && request.finishedSequences.length < request.emittedIds.length ? null : 'too_long'
  }

  #remind(reservation: Reservation, nowMs: number): void {
    reservation.lastHeardMs = nowMs
    if (reservation.phase !== 'reserved') return
    this.#sayReserved(reservation)
    for (const { token } of this.#pulls.failed(reservation)) this.#sayNotPulled(reservation, token, 'the pull failed')
  }

  #grant(reservation: Reservation): boolean {
    const { config, running, waiting, admission, giveSlots } = this.#parts
    const { request } = reservation
    if (waiting.head?.isUrgent === true) return false
    if (running.numSequences + this.#numSequences + request.live.length > config.limits.maxNumSeqs) return false
    if (request.live[0]!.slot === null) giveSlots(request)
    const cost = admission.reserve(request, { isAlone: running.numSequences + this.#numSequences === 0, hits: 'blocks' })
    if (cost === null) return false
    reservation.reserve(cost.hitBlockIds.length)
    this.#numWaiting--
    this.#numSequences += reservation.numSequences
    this.#sayReserved(reservation)
    return true
  }

  #pullFailed({ reservation, track, firstBlock, token }: Pull, message: string, nowMs: number): void {
    const range = `${track.sequence.index}/${firstBlock}`
    const numFailures = (reservation.numFailures.get(range) ?? 0) + 1
    reservation.numFailures.set(range, numFailures)
    if (reservation.handed !== null && numFailures >= MAX_ATTEMPTS) this.#giveBack(reservation)
    else this.#sayNotPulled(reservation, token, message)
    this.#pulls.start(nowMs)
  }

  #installed({ reservation, track, installing }: Pull, nowMs: number): void {
    reservation.numInstalling -= installing.length
    if (reservation.phase === 'closed') {
      if (reservation.numInstalling === 0 && this.#closing.delete(reservation)) this.#release(reservation)
      return
    }
    reservation.install(track, installing, this.#parts.prefixes)
    this.#takeIfComplete(reservation, nowMs)
  }

  #takeIfComplete(reservation: Reservation, nowMs: number): void {
    const { handed, request, requestId, source } = reservation
    if (handed === null || !reservation.isComplete) return
    const { pool, prefixes, effects, onTaken } = this.#parts
    this.#pulls.cancel(reservation)
    this.#reservations.delete(requestId)
    this.#numSequences -= reservation.numSequences
    this.#settled.note(requestId, handed.message.epoch, 'taken')
    for (const { table } of reservation.take(handed.message, prefixes)) pool.release(table.blockIds)
    onTaken(request, reservation.isLive, nowMs)
    effects.send(source, { kind: 'taken', requestId, epoch: handed.message.epoch })
  }

  /** The source may decode it: it never runs here. */
  #giveBack(reservation: Reservation): void {
    const { source, requestId } = reservation
    const { epoch } = reservation.handed!.message
    this.#close(reservation)
    this.#decline(source, requestId, epoch, 'link_failed')
  }

  #close(reservation: Reservation): void {
    this.#pulls.cancel(reservation)
    this.#reservations.delete(reservation.requestId)
    this.#settled.note(reservation.requestId, reservation.epoch, 'declined')
    const { phase } = reservation
    reservation.phase = 'closed'
    if (phase === 'waiting') {
      this.#numWaiting--
      for (const sequence of reservation.request.live) sequence.slot = null
      return
    }
    this.#numSequences -= reservation.numSequences
    if (reservation.numInstalling > 0) this.#closing.add(reservation)
    else this.#release(reservation)
  }

  #release(reservation: Reservation): void {
    for (const table of reservation.tables()) this.#parts.pool.release(table)
    for (const sequence of reservation.request.live) sequence.slot = null
  }

  #reserved(requestId: string, from: Address): Reservation | null {
    const reservation = this.#reservations.get(requestId)
    return reservation !== undefined && reservation.source === from && reservation.phase === 'reserved' ? reservation : null
  }

  #sayReserved({ source, requestId, epoch, numHeldBlocks }: Reservation): void {
    this.#parts.effects.send(source, { kind: 'reserved', requestId, epoch, numHeldBlocks })
  }

  #sayNotPulled({ source, requestId, epoch }: Reservation, token: string, message: string): void {
    this.#parts.effects.send(source, { kind: 'not-pulled', requestId, epoch, token, message })
  }

  #decline(to: Address, requestId: string, epoch: Epoch, reason: DeclinedMessage['reason']): void {
    this.#parts.effects.send(to, { kind: 'declined', requestId, epoch, reason })
  }
}

function isNextHop(base: Epoch, raised: Epoch): boolean {
  return raised.recovery === base.recovery && raised.hop === base.hop + 1
}
