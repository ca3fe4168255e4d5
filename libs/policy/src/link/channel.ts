// What one link carries, estimated from what came over it, and how much may be under way on it: rate and round trip as BBR (ACM
// Queue 2016) estimates them, and a window that follows the queueing delay as LEDBAT (RFC 6817) does, so that bulk leaves the link's
// queue to others. Without a queue the connections themselves are the limit, and more of them carry more.
//
//   per round:  a queue was seen ------------> window x 0.7, down to rate x round trip, held for 8 rounds
//               none was ever seen ----------> window x 2, and twice as many connections
//               none, link about used up ----> window = rate x round trip; 10 % more while that helps, and once in 128 rounds
//               none, window below its cap --> window + 5 %, and after 8 such rounds + 25 %
//               none, window at its cap -----> twice as many connections
//
// 1. The rate is what arrived over the longer of the time it took to arrive and the time it took to ask for it: neither a receiver
//    that was busy nor a burst of requests makes a link look fast.
// 2. A window is never below four frames, so that some travel while the next one is asked for.
import { RecentExtreme } from './recent-extreme.ts'

/** State of the link when a frame was asked for. */
export interface Asked {
  readonly askedMs: number
  readonly deliveredBytes: number
  readonly deliveredMs: number
  readonly firstAskedMs: number
}

/** What the link is asked to carry. */
export interface LinkLoad {
  /** As many as are wanted. */
  readonly areLanesOpen: boolean
  /** More would be under way if the window allowed it. */
  readonly hasMore: boolean
  readonly underWayBytes: number
}

const RATE_SPAN_MS = 2_000
const ROUND_TRIP_SPAN_MS = 10_000
/** Queueing delay above this share of the round trip, this time, and that of as many frames means that the link is full. */
const QUEUE_RATIO = 0.05
const QUEUE_FRAMES = 2
const LEAST_QUEUE_MS = 1
const HOLD_ROUNDS = 8
const WINDOW_BACK_OFF = 0.7
/** Growth of the window per round, at first and once no queue was seen for longer. */
const CAREFUL_GROWTH = 1.05
const CAREFUL_ROUNDS = 8
const FREE_GROWTH = 1.25
/** Cap of the window, in rate x round trip: what connections may use to become faster, and to go on while some recover from a loss. */
const CAP_RATIO = 4
/** Recovering from a loss takes this long, however short the link. */
const LEAST_RECOVERY_MS = 5
const LEAST_FRAMES = 4
/** A link whose rounds are usually as fast as this share of its rate is used up: more would only queue. */
const USED_UP_RATIO = 0.8
const PROBE_RATIO = 1.1
const PROBE_SUCCESS = 1.05
const PROBE_ROUNDS = 128
/** With so much under way, in rate x round trip, the link is busy whether or not there is more to ask for. */
const BUSY_RATIO = 2
const INITIAL_WINDOW_BYTES = 512 * 1024
const MAX_WINDOW_BYTES = 32 << 20
const MAX_LANES = 16
const INITIAL_LANES = 4
/** On shorter links one connection is enough: it recovers from a loss as fast as several. */
const LEAST_LANES_MS = 2
const INITIAL_FRAME_BYTES = 64 * 1024
const MIN_FRAME_BYTES = 8 * 1024
const MAX_FRAME_BYTES = 512 * 1024
/** Frames of a round trip, and the least and most time that one takes. */
const FRAMES_PER_ROUND_TRIP = 16
const LEAST_FRAME_MS = 0.5
const MOST_FRAME_MS = 20
/** Below the clock's grain. */
const LEAST_MS = 0.01

export class LinkChannel {
  readonly #rate = new RecentExtreme('max', RATE_SPAN_MS)
  readonly #roundTrip = new RecentExtreme('min', ROUND_TRIP_SPAN_MS)
  #deliveredBytes = 0
  #deliveredMs = 0
  #firstAskedMs = 0
  #roundStartMs = 0
  #roundBeganMs = 0
  #roundBeganBytes = 0
  #usualRate: number | null = null
  #windowBytes = INITIAL_WINDOW_BYTES
  #hasSeenQueue = false
  #isQueued = false
  #holdRounds = 0
  #numGrowths = 0
  #probedRate = 0
  #roundsSinceProbe = 0
  #queueMs = 0
  #numLanes = INITIAL_LANES

  /** Bytes on the wire per second; null: nothing came yet. */
  get bytesPerSec(): number | null {
    return this.#rate.value
  }

  /** Of the idle link; null: not measured. */
  get roundTripMs(): number | null {
    return this.#roundTrip.value
  }

  /** How much longer the last round trip took than that of the idle link. */
  get queueMs(): number {
    return this.#queueMs
  }

  /** Connections that frames are to use, 1 to 16: no more than have a frame each under way. */
  get numLanes(): number {
    if ((this.roundTripMs ?? 0) < LEAST_LANES_MS) return 1
    return Math.min(this.#numLanes, Math.max(1, Math.floor(this.windowBytes / this.frameBytes)))
  }

  /** A frame is asked for; `isIdle`: nothing else is under way. */
  asked(isIdle: boolean, nowMs: number): Asked {
    if (isIdle) {
      this.#deliveredMs = nowMs
      this.#firstAskedMs = nowMs
    }
    return { askedMs: nowMs, deliveredBytes: this.#deliveredBytes, deliveredMs: this.#deliveredMs, firstAskedMs: this.#firstAskedMs }
  }

  received(asked: Asked, wireBytes: number, load: LinkLoad, nowMs: number): void {
    this.#deliveredBytes += wireBytes
    this.#deliveredMs = nowMs
    this.#firstAskedMs = asked.askedMs
    const tookMs = Math.max(LEAST_MS, nowMs - asked.deliveredMs, asked.askedMs - asked.firstAskedMs)
    this.#rate.observe(((this.#deliveredBytes - asked.deliveredBytes) / tookMs) * 1000, nowMs)
    if (asked.askedMs < this.#roundStartMs) return
    const isBusy = load.areLanesOpen && (load.hasMore || load.underWayBytes >= BUSY_RATIO * this.#pipeBytes)
    if (isBusy) this.#observeRound(nowMs)
    this.#roundBeganMs = nowMs
    this.#roundBeganBytes = this.#deliveredBytes
    this.#roundStartMs = nowMs
    if (this.#isQueued || isBusy) this.#endRound()
  }

  /** A message without contents went there and back, on a connection that carries no frames. */
  echoed(roundTripMs: number, nowMs: number): void {
    this.#roundTrip.observe(Math.max(LEAST_MS, roundTripMs), nowMs)
    this.#queueMs = Math.max(0, roundTripMs - this.#roundTrip.value!)
    const framesMs = ((QUEUE_FRAMES * this.frameBytes) / (this.bytesPerSec ?? Number.MAX_VALUE)) * 1000
    if (this.#queueMs > Math.max(LEAST_QUEUE_MS, QUEUE_RATIO * this.#roundTrip.value!, framesMs)) this.#isQueued = true
  }

  /** Bytes that may be under way together. */
  get windowBytes(): number {
    return Math.max(this.#leastBytes, Math.min(this.#windowBytes, this.#capBytes))
  }

  /** Bytes of a frame, a power of two: small enough that others get in between, large enough to cost little. */
  get frameBytes(): number {
    const { bytesPerSec, roundTripMs } = this
    if (bytesPerSec === null) return INITIAL_FRAME_BYTES
    const frameMs = Math.min(MOST_FRAME_MS, Math.max(LEAST_FRAME_MS, (roundTripMs ?? 0) / FRAMES_PER_ROUND_TRIP))
    const wantedBytes = (bytesPerSec * frameMs) / 1000
    return Math.min(MAX_FRAME_BYTES, Math.max(MIN_FRAME_BYTES, 2 ** Math.floor(Math.log2(Math.max(1, wantedBytes)))))
  }

  get #pipeBytes(): number {
    return ((this.bytesPerSec ?? 0) * (this.roundTripMs ?? 0)) / 1000
  }

  /** What keeps the link busy. */
  get #leastBytes(): number {
    return Math.max(this.#pipeBytes, LEAST_FRAMES * this.frameBytes)
  }

  get #capBytes(): number {
    const recoveryMs = Math.max(LEAST_RECOVERY_MS, this.roundTripMs ?? 0)
    return Math.min(MAX_WINDOW_BYTES, Math.max(INITIAL_WINDOW_BYTES, (CAP_RATIO * (this.bytesPerSec ?? 0) * recoveryMs) / 1000))
  }

  #observeRound(nowMs: number): void {
    const tookMs = nowMs - this.#roundBeganMs
    const rate = ((this.#deliveredBytes - this.#roundBeganBytes) / Math.max(LEAST_MS, tookMs)) * 1000
    this.#usualRate = this.#usualRate === null ? rate : (1 - 1 / 8) * this.#usualRate + rate / 8
  }

  #endRound(): void {
    if (this.#isQueued) {
      this.#isQueued = false
      this.#hasSeenQueue = true
      this.#holdRounds = HOLD_ROUNDS
      this.#numGrowths = 0
      this.#windowBytes = Math.max(this.#leastBytes, WINDOW_BACK_OFF * this.windowBytes)
    } else if (!this.#hasSeenQueue) {
      this.#grow(2)
      this.#moreLanes()
    } else if (this.#holdRounds > 0) this.#holdRounds--
    else if (this.#isUsedUp) this.#probe()
    else if (this.#windowBytes < this.#capBytes) this.#grow(++this.#numGrowths > CAREFUL_ROUNDS ? FREE_GROWTH : CAREFUL_GROWTH)
    else this.#moreLanes()
  }

  /** It carries about as much as it ever does. */
  get #isUsedUp(): boolean {
    return this.#usualRate !== null && this.#usualRate >= USED_UP_RATIO * (this.bytesPerSec ?? 0)
  }

  /** Once in a while, and for as long as that makes it faster, a little more than the link is known to carry. */
  #probe(): void {
    const rate = this.bytesPerSec ?? 0
    if (rate > PROBE_SUCCESS * this.#probedRate || ++this.#roundsSinceProbe >= PROBE_ROUNDS) {
      this.#probedRate = rate
      this.#roundsSinceProbe = 0
      this.#windowBytes = Math.max(this.#leastBytes, PROBE_RATIO * this.#pipeBytes)
    } else this.#windowBytes = this.#leastBytes
  }

  #grow(factor: number): void {
    this.#windowBytes = Math.min(this.#capBytes, factor * this.#windowBytes)
  }

  #moreLanes(): void {
    this.#numLanes = Math.min(MAX_LANES, 2 * this.#numLanes)
  }
}
