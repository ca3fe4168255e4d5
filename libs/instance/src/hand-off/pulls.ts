// Pulls of KV blocks that peers offered, and their way into the arena.
//
//   queued -> pulling -> installing -> (installed) gone
//                |
//                +-- failed: kept until the same blocks are offered again
//
// 1. At most MAX_TRANSFERS travel at a time. At most MAX_STAGED travel or wait for the engine, which installs between steps: that bounds
//    the staging, and what one step lets in.
// 2. One transfer at a time touches a block; what is there already is not written again.
import type { Completion, EffectId } from '@rubato/actor'
import type { EffectList, KvPulled } from '../effects.ts'
import type { OfferMessage } from '../peer-messages.ts'
import type { BlockTrack } from './block-track.ts'
import type { Reservation } from './reservation.ts'

const MAX_TRANSFERS = 4
/** Of at most 64 MiB each (or one block): a GiB. */
const MAX_STAGED = 16

export interface Pull {
  readonly reservation: Reservation
  readonly track: BlockTrack
  readonly token: string
  readonly firstBlock: number
  readonly numBlocks: number
  phase: 'queued' | 'pulling' | 'installing' | 'failed'
  startedMs: number
  /** Blocks of the track whose contents the engine writes. */
  installing: readonly number[]
}

export interface PullListener {
  readonly onPulled: (pull: Pull, pulled: KvPulled, nowMs: number) => void
  readonly onFailed: (pull: Pull, message: string, nowMs: number) => void
  readonly onInstalled: (pull: Pull, nowMs: number) => void
}

export class Pulls {
  readonly #effects: EffectList
  readonly #listener: PullListener
  readonly #pulls = new Set<Pull>()
  readonly #byEffect = new Map<EffectId, Pull>()

  constructor(effects: EffectList, listener: PullListener) {
    this.#effects = effects
    this.#listener = listener
  }

  /** Queues an offer; one that is known changes nothing, a later one for the same blocks takes the place of one that waits. */
  offer(reservation: Reservation, track: BlockTrack, { token, firstBlock, numBlocks }: OfferMessage): void {
    for (const pull of this.#pulls) {
      if (pull.reservation !== reservation) continue
      if (pull.token === token) return
      if (pull.track === track && pull.firstBlock === firstBlock && (pull.phase === 'queued' || pull.phase === 'failed')) this.#pulls.delete(pull)
    }
    this.#pulls.add({ reservation, track, token, firstBlock, numBlocks, phase: 'queued', startedMs: 0, installing: [] })
  }

  /** Tokens of failed pulls whose blocks were not offered again: the source may not have heard. */
  failed(reservation: Reservation): readonly Pull[] {
    return [...this.#pulls].filter((pull) => pull.reservation === reservation && pull.phase === 'failed')
  }

  /** Starts what the limit allows, first come first served. */
  start(nowMs: number): void {
    if (this.#pulls.size === this.#byEffect.size) return
    for (const pull of this.#pulls) {
      if (this.#byEffect.size >= MAX_STAGED || this.#numPulling() >= MAX_TRANSFERS) return
      if (pull.phase !== 'queued' || this.#isBusy(pull)) continue
      const { reservation, token, numBlocks } = pull
      const { kvAddress, requestId, epoch, request: { message: { trace } } } = reservation
      pull.phase = 'pulling'
      pull.startedMs = nowMs
      this.#byEffect.set(this.#effects.kvPull({ kvAddress, token, requestId, epoch, numBlocks, ...(trace === null ? {} : { trace }) }), pull)
    }
  }

  /** Ends everything for a reservation but the installs, which run to their end. */
  cancel(reservation: Reservation): void {
    for (const [effectId, pull] of this.#byEffect) {
      if (pull.reservation !== reservation || pull.phase !== 'pulling') continue
      this.#effects.cancel(effectId)
      this.#byEffect.delete(effectId)
    }
    for (const pull of this.#pulls) if (pull.reservation === reservation && pull.phase !== 'installing') this.#pulls.delete(pull)
  }

  /** `engine-failed`: an install did not succeed, so the engine is gone. `unknown`: the effect is nobody's here. */
  complete({ effectId, outcome }: Completion, nowMs: number): 'handled' | 'engine-failed' | 'unknown' {
    const pull = this.#byEffect.get(effectId)
    if (pull === undefined) return 'unknown'
    this.#byEffect.delete(effectId)
    if (pull.phase === 'installing') {
      if (outcome.kind !== 'done') return 'engine-failed'
      this.#pulls.delete(pull)
      this.#listener.onInstalled(pull, nowMs)
    } else if (outcome.kind === 'done') this.#install(pull, outcome.value as KvPulled, nowMs)
    else if (outcome.kind === 'rejected') pull.phase = 'queued'
    else {
      pull.phase = 'failed'
      this.#listener.onFailed(pull, outcome.kind === 'failed' ? outcome.error.message : 'the pull was cancelled', nowMs)
    }
    return 'handled'
  }

  #install(pull: Pull, pulled: KvPulled, nowMs: number): void {
    const { reservation, track, firstBlock, numBlocks } = pull
    this.#listener.onPulled(pull, pulled, nowMs)
    pull.phase = 'installing'
    const places = Array.from({ length: numBlocks }, (_, place) => place).filter((place) => track.isMissing(firstBlock + place))
    pull.installing = places.map((place) => firstBlock + place)
    if (places.length === 0) {
      this.#pulls.delete(pull)
      return
    }
    const { blockIds } = track.slot.table
    const bytes = places.length === numBlocks ? pulled.bytes : partsOf(pulled.bytes, places, numBlocks)
    reservation.numInstalling += places.length
    this.#byEffect.set(this.#effects.engine({ kind: 'install-blocks', blockIds: pull.installing.map((block) => blockIds[block]!), bytes }), pull)
  }

  #numPulling(): number {
    let count = 0
    for (const { phase } of this.#byEffect.values()) if (phase === 'pulling') count += 1
    return count
  }

  #isBusy({ track, firstBlock, numBlocks }: Pull): boolean {
    for (const other of this.#byEffect.values()) {
      if (other.track === track && other.firstBlock < firstBlock + numBlocks && firstBlock < other.firstBlock + other.numBlocks) return true
    }
    return false
  }
}

function partsOf(bytes: Uint8Array, places: readonly number[], numBlocks: number): Uint8Array {
  const sizeBytes = bytes.length / numBlocks
  const parts = new Uint8Array(places.length * sizeBytes)
  places.forEach((place, to) => parts.set(bytes.subarray(place * sizeBytes, (place + 1) * sizeBytes), to * sizeBytes))
  return parts
}
