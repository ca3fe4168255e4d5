// KV transfers in virtual time: the `kv-serve` and `kv-pull` effects of simulated instances, over links with latency, bandwidth
// and faults.
//
// 1. A token opens one transfer; it is gone once used, withdrawn or out of time.
// 2. What a pull yields are the blocks' contents at the moment it began. Their size on the link is the engine's block size,
//    however small the contents that the simulation keeps.
// 3. Transfers share the bandwidth of their sender, and of their receiver, by taking turns.
// 4. Who died refuses or breaks off at once; who is cut off or stands still is given up after 5 s, as over gRPC.
import { CANCELLED, DONE, done } from '@rubato/actor'
import type { EffectPort, EffectRun, EffectTable, Outcome } from '@rubato/actor'
import type { KvPulled, KvPullEffect, KvServeEffect } from '@rubato/instance'
import type { SimProcess } from '../process/sim-process.ts'
import type { RandomStream } from '../random-stream.ts'
import type { SimWorld } from '../sim-world.ts'
import type { Place } from './sim-bus.ts'

export interface SimKvNetworkOptions {
  readonly world: SimWorld
  /** How long an offer waits for its pull. @default 30000 */
  readonly offerTtlMs?: number
}

/** Of every link; may be changed at any time. */
export interface KvFaults {
  /** Share of transfers that break off at their end. */
  cutRatio: number
  /** Times the bandwidth, of transfers that begin from now on. */
  bandwidthFactor: number
  latencyFactor: number
}

export interface KvPeer {
  /** `host:port`: its name on the network, of this life of its process alone. */
  readonly kvAddress: string
  readonly process: SimProcess
  readonly place: Place
  readonly bytesPerSec: number
  /** One way, before the first byte. */
  readonly latencyMs: number
  readonly blockBytes: number
  /** Contents of these blocks now, as export-blocks gives them. */
  readonly readBlocks: (blockIds: readonly number[]) => Uint8Array
}

interface Offer {
  readonly blockIds: readonly number[]
  readonly from: Station
  readonly settle: (outcome: Outcome) => void
}

/** A peer and what its side of the link is doing. */
interface Station {
  readonly peer: KvPeer
  /** When the transfers that it sends, and those that it receives, have ended. */
  sendBusyUntilMs: number
  receiveBusyUntilMs: number
  /** What pulls from each peer took of late: decayed sums, as the live transport keeps them. */
  readonly rates: Map<string, { readonly numBytes: number; readonly transferMs: number }>
}

interface Pull {
  readonly token: string
  readonly to: Station
  readonly startMs: number
  readonly isSettled: () => boolean
  readonly settle: (outcome: Outcome) => void
}

const OFFER_TTL_MS = 30_000
const IDLE_TIMEOUT_MS = 5_000
/** In flight per instance, as in a live one. */
const SERVE_LIMIT = 512
const PULL_LIMIT = 32
const RATE_KEPT_RATIO = 0.8

export class SimKvNetwork {
  readonly faults: KvFaults = { cutRatio: 0, bandwidthFactor: 1, latencyFactor: 1 }
  readonly #world: SimWorld
  readonly #offerTtlMs: number
  readonly #dice: RandomStream
  readonly #offers = new Map<string, Offer>()
  readonly #stations = new Map<string, Station>()
  #bytesMoved = 0

  constructor({ world, offerTtlMs = OFFER_TTL_MS }: SimKvNetworkOptions) {
    this.#world = world
    this.#offerTtlMs = offerTtlMs
    this.#dice = world.random('kv faults')
  }

  /** Size of all transfers that arrived. */
  get bytesMoved(): number {
    return this.#bytesMoved
  }

  get numOffers(): number {
    return this.#offers.size
  }

  /** The two ports of one instance. */
  join(peer: KvPeer): EffectTable {
    const station: Station = { peer, sendBusyUntilMs: 0, receiveBusyUntilMs: 0, rates: new Map() }
    this.#stations.set(peer.kvAddress, station)
    const serve: EffectPort<KvServeEffect> = { limit: SERVE_LIMIT, perform: (effect, run) => this.#serve(effect, station, run) }
    const pull: EffectPort<KvPullEffect> = { limit: PULL_LIMIT, perform: (effect, run) => this.#pull(effect, station, run) }
    return { 'kv-serve': serve, 'kv-pull': pull }
  }

  /** The peer's process is no more. */
  leave(kvAddress: string): void {
    this.#stations.delete(kvAddress)
  }

  #serve({ token, blockIds }: KvServeEffect, from: Station, run: EffectRun): void {
    const settle = (outcome: Outcome): void => {
      this.#offers.delete(token)
      cancelTtl()
      run.complete(outcome)
    }
    const cancelTtl = from.peer.process.schedule(this.#offerTtlMs, () => settle(failure('kv_not_pulled', 'nobody pulled the offered blocks in time')))
    this.#offers.set(token, { blockIds, from, settle })
    run.onAbort(() => settle(CANCELLED))
  }

  #pull({ kvAddress, token }: KvPullEffect, to: Station, run: EffectRun): void {
    let isSettled = false
    const settle = (outcome: Outcome): void => {
      isSettled = true
      run.complete(outcome)
    }
    run.onAbort(() => settle(CANCELLED))
    const pull: Pull = { token, to, startMs: this.#world.nowMs(), isSettled: () => isSettled, settle }
    this.#world.schedule(to.peer.latencyMs * this.faults.latencyFactor, () => {
      const from = this.#stations.get(kvAddress)
      if (isSettled) return
      if (from === undefined || !from.peer.process.isAlive) this.#settle(pull, failure('kv_link_failed', 'nobody listens there'))
      else this.#reach(from, pull, () => this.#begin(from, pull))
    })
  }

  /** Goes on at the peer: at once, when it runs again, or never; the puller does not wait for ever. */
  #reach({ peer: from }: Station, pull: Pull, goOn: () => void): void {
    const { peer: to } = pull.to
    const isApart = from.place.partition !== to.place.partition
    if (isApart || from.process.isFrozen) to.process.schedule(IDLE_TIMEOUT_MS, () => this.#settle(pull, failure('kv_link_failed', 'nothing came for 5 s')))
    if (!isApart) from.process.run(goOn)
  }

  #begin(from: Station, pull: Pull): void {
    const offer = this.#offers.get(pull.token)
    if (pull.isSettled()) return
    if (offer === undefined || offer.from !== from) return this.#settle(pull, failure('kv_refused', 'the offer is unknown or was used'))
    this.#offers.delete(pull.token)
    const { peer } = from
    const { to } = pull
    const bytes = peer.readBlocks(offer.blockIds)
    const numBytes = offer.blockIds.length * peer.blockBytes
    const bytesPerSec = Math.min(peer.bytesPerSec, to.peer.bytesPerSec) * this.faults.bandwidthFactor
    const beginMs = Math.max(this.#world.nowMs(), from.sendBusyUntilMs, to.receiveBusyUntilMs)
    const endMs = beginMs + peer.latencyMs * this.faults.latencyFactor + (numBytes / bytesPerSec) * 1000
    from.sendBusyUntilMs = endMs
    to.receiveBusyUntilMs = endMs
    const isCut = this.faults.cutRatio > 0 && this.#dice.next() < this.faults.cutRatio
    this.#world.scheduleAt(endMs, () => {
      if (isCut || !peer.process.isAlive) this.#breakOff(offer, pull)
      else if (peer.place.partition !== to.peer.place.partition) this.#world.schedule(IDLE_TIMEOUT_MS, () => this.#breakOff(offer, pull))
      else this.#reach(from, pull, () => (pull.isSettled() ? this.#breakOff(offer, pull) : this.#end(offer, pull, { bytes, numBytes })))
    })
  }

  #end({ from, settle }: Offer, pull: Pull, { bytes, numBytes }: { readonly bytes: Uint8Array; readonly numBytes: number }): void {
    this.#bytesMoved += numBytes
    settle(DONE)
    const transferMs = this.#world.nowMs() - pull.startMs
    const pulled: KvPulled = { bytes, transferMs, bytesPerSec: observe(pull.to, from.peer.kvAddress, { numBytes, transferMs }) }
    this.#settle(pull, done(pulled))
  }

  #breakOff({ from, settle }: Offer, pull: Pull): void {
    from.peer.process.run(() => settle(failure('kv_not_pulled', 'the transfer broke off')))
    this.#settle(pull, failure('kv_link_failed', 'the transfer broke off'))
  }

  /** The puller hears how it ended, unless it has. */
  #settle({ to, settle, isSettled }: Pull, outcome: Outcome): void {
    to.peer.process.run(() => {
      if (!isSettled()) settle(outcome)
    })
  }
}

/** Counts a pull and gives the peer's new estimate in bytes per second. */
function observe({ rates }: Station, peer: string, { numBytes, transferMs }: { readonly numBytes: number; readonly transferMs: number }): number {
  const before = rates.get(peer) ?? { numBytes: 0, transferMs: 0 }
  const sums = { numBytes: before.numBytes * RATE_KEPT_RATIO + numBytes, transferMs: before.transferMs * RATE_KEPT_RATIO + transferMs }
  rates.set(peer, sums)
  return (sums.numBytes / sums.transferMs) * 1000
}

function failure(code: string, message: string): Outcome {
  return { kind: 'failed', error: { code, message, retryable: true } }
}
