// A transfer as its sender keeps it: from the moment its token was used until the receiver has everything, or it is given up.
//
// 1. The blocks are kept until the receiver says that it has them: any range may be asked for again, over any lane.
// 2. It is settled exactly once: sent, or broken when the receiver gave up, went silent or left, the offer was withdrawn, or the
//    blocks could not be read.
// 3. It outlives its lanes for a moment, in which the receiver may come back over another one.
import { IdleTimer } from '../../idle-timer.ts'
import type { OnKvTransfer } from '../../kv-events.ts'
import { transferBytes } from '../../offer-book.ts'
import type { ClaimedOffer } from '../../offer-book.ts'

export interface ServeOptions {
  /** A receiver that neither asks nor takes anything for this long has its transfers ended. */
  readonly stallTimeoutMs: number
  readonly onTransfer: OnKvTransfer
}

/** A lane that the receiver asks over. */
export interface JoinedLane {
  /** Tells the receiver that it will get no more of the transfer. */
  readonly sayBroken: (transferId: number) => void
}

export interface ServedIdentity {
  readonly peer: string
  /** As the receiver calls it. */
  readonly transferId: number
  readonly onOver: () => void
}

/** Without any lane for this long the receiver has left. */
const REJOIN_MS = 1_000

export class ServedTransfer {
  /** The whole contents; rejects when they cannot be had. */
  readonly bytes: Promise<Uint8Array>
  readonly #claimed: ClaimedOffer
  readonly #options: ServeOptions
  readonly #startedMs = performance.now()
  readonly #idle: IdleTimer
  readonly #identity: ServedIdentity
  readonly #lanes = new Set<JoinedLane>()
  #rejoinTimer: NodeJS.Timeout | undefined
  #isOver = false

  constructor(claimed: ClaimedOffer, identity: ServedIdentity, options: ServeOptions) {
    this.#claimed = claimed
    this.#identity = identity
    this.#options = options
    const { offer, signal } = claimed
    this.#idle = new IdleTimer(options.stallTimeoutMs, () => this.break(`the receiver was silent for ${options.stallTimeoutMs} ms`))
    signal.addEventListener('abort', () => this.break('the offer was withdrawn'), { once: true })
    this.bytes = offer.read().then((bytes) => {
      const expectedBytes = transferBytes(offer)
      if (bytes.byteLength !== expectedBytes) throw new RangeError(`${bytes.byteLength} bytes were read instead of ${expectedBytes}`)
      return bytes
    })
    this.bytes.catch((error: unknown) => this.break(error instanceof RangeError ? error.message : 'the blocks could not be read', error))
  }

  get isOver(): boolean {
    return this.#isOver
  }

  get numBytes(): number {
    return transferBytes(this.#claimed.offer)
  }

  /** The receiver shows that it is there. */
  touch(): void {
    if (!this.#isOver) this.#idle.touch()
  }

  /** The receiver asks over this lane. */
  joined(lane: JoinedLane): void {
    this.#lanes.add(lane)
    clearTimeout(this.#rejoinTimer)
  }

  isJoinedBy(lane: JoinedLane): boolean {
    return this.#lanes.has(lane)
  }

  left(lane: JoinedLane): void {
    if (!this.#lanes.delete(lane) || this.#lanes.size > 0 || this.#isOver) return
    this.#rejoinTimer = setTimeout(() => this.break('the receiver left'), REJOIN_MS)
  }

  finish(): void {
    if (!this.#settle()) return
    const { requestId, trace = null } = this.#claimed.offer
    this.#options.onTransfer({ kind: 'sent', requestId, trace, peer: this.#identity.peer, numBytes: this.numBytes, transferMs: performance.now() - this.#startedMs })
    this.#claimed.sent()
  }

  break(reason: string, cause?: unknown): void {
    if (!this.#settle()) return
    for (const lane of this.#lanes) lane.sayBroken(this.#identity.transferId)
    const { requestId, trace = null } = this.#claimed.offer
    this.#options.onTransfer({ kind: 'send-broken', requestId, trace, peer: this.#identity.peer, reason })
    this.#claimed.broken(reason, cause)
  }

  #settle(): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#idle.stop()
    clearTimeout(this.#rejoinTimer)
    this.#identity.onOver()
    return true
  }
}
