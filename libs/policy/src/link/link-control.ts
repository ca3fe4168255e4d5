// How a link is used: how much may be under way, in frames of what size and encoding, over how many connections.
import { LinkChannel } from './channel.ts'
import type { Asked, LinkLoad } from './channel.ts'
import { USUAL_FIGURES, chooseEncoding, observeEncoding } from './encodings.ts'
import type { EncodingFigures, KvEncoding } from './encodings.ts'

/** What is known of a link and how it is used now. */
export interface LinkReport {
  /** On the wire; null: nothing came yet. */
  readonly bytesPerSec: number | null
  /** Of the idle link; null: not measured. */
  readonly roundTripMs: number | null
  /** Latest round trip beyond that of the idle link. */
  readonly queueMs: number
  readonly numLanes: number
  readonly frameBytes: number
  /** On the wire, under way together. */
  readonly windowBytes: number
  readonly encoding: KvEncoding
}

export interface ArrivedFrame {
  readonly encoding: KvEncoding
  readonly numBytes: number
  readonly wireBytes: number
  /** What encoding it took at the sender. */
  readonly encodeMs: number
}

export interface LinkControl {
  /** Connections for frames; 0: they share the one for messages. */
  readonly numLanes: number
  readonly frameBytes: number
  readonly encoding: KvEncoding
  /** Bytes on the wire that may be under way together. */
  readonly windowBytes: number
  /** Bytes on the wire per byte of KV. */
  wireRatio(encoding: KvEncoding): number
  /** A frame is asked for; `isIdle`: nothing else is under way. */
  asked(isIdle: boolean, nowMs: number): Asked
  received(asked: Asked, frame: ArrivedFrame, load: LinkLoad, nowMs: number): void
  echoed(roundTripMs: number, nowMs: number): void
}

/** Any link looks slow at first: nothing is encoded before so many frames came. */
const LEAST_FRAMES_SEEN = 32

/** Measures the link and follows it. */
export class AdaptiveControl implements LinkControl {
  readonly #channel = new LinkChannel()
  readonly #accepted: readonly KvEncoding[]
  #isLocal = false
  #numFrames = 0
  readonly #figures: Record<KvEncoding, EncodingFigures> = { ...USUAL_FIGURES }

  /** `accepted`: encodings that the receiver takes, beside raw. */
  constructor(accepted: readonly KvEncoding[]) {
    this.#accepted = accepted
  }

  get numLanes(): number {
    return this.#isLocal ? 0 : this.#channel.numLanes
  }

  get frameBytes(): number {
    return this.#channel.frameBytes
  }

  get encoding(): KvEncoding {
    const { bytesPerSec } = this.#channel
    return this.#isLocal || bytesPerSec === null || this.#numFrames < LEAST_FRAMES_SEEN ? 'raw' : chooseEncoding(this.#accepted, bytesPerSec, this.#figures)
  }

  get report(): LinkReport {
    const { bytesPerSec, roundTripMs, queueMs } = this.#channel
    return { bytesPerSec, roundTripMs, queueMs, numLanes: this.numLanes, frameBytes: this.frameBytes, windowBytes: this.windowBytes, encoding: this.encoding }
  }

  /** The link is this machine's memory: one connection is as fast as several, and nothing is slower than encoding. */
  useLocal(): void {
    this.#isLocal = true
  }

  get windowBytes(): number {
    return this.#channel.windowBytes
  }

  wireRatio(encoding: KvEncoding): number {
    return this.#figures[encoding].wireRatio
  }

  asked(isIdle: boolean, nowMs: number): Asked {
    return this.#channel.asked(isIdle, nowMs)
  }

  received(asked: Asked, frame: ArrivedFrame, load: LinkLoad, nowMs: number): void {
    this.#numFrames++
    this.#channel.received(asked, frame.wireBytes, load, nowMs)
    if (frame.encoding !== 'raw') this.#figures[frame.encoding] = observeEncoding(this.#figures[frame.encoding], frame)
  }

  echoed(roundTripMs: number, nowMs: number): void {
    this.#channel.echoed(roundTripMs, nowMs)
  }
}
