// Transfers over an emulated link: the code that asks for frames on a live link (LinkFlow) over simulated connections.
import { LinkFlow } from '@rubato/policy'
import type { KvEncoding, LinkControl, Want } from '@rubato/policy'
import { SimWorld } from '@rubato/sim'
import { EmulatedLink } from './emulated-link.ts'
import type { LinkConditions } from './emulated-link.ts'
import { TcpLane } from './tcp-lane.ts'

/** What a process can do in bytes of KV per second, and what an encoding saves. */
export interface EndFigures {
  readonly sendBytesPerSec: number
  readonly encodeBytesPerSec: Readonly<Record<KvEncoding, number>>
  readonly wireRatio: Readonly<Record<KvEncoding, number>>
}

export interface RunOptions {
  readonly conditions: LinkConditions
  readonly control: LinkControl
  readonly ends: EndFigures
  readonly numTransfers: number
  readonly seed: number
}

export interface EmulatedRun {
  /** From the first request to the last byte. */
  readonly totalMs: number
  /** One-way delays of small messages that shared the link meanwhile. */
  readonly messageDelaysMs: readonly number[]
}

/** As many ranges as an instance pulls at a time; a prompt's last one is shorter. */
const CONCURRENT_RANGES = 4
export const RANGE_BYTES = 1 << 20
export const LAST_RANGE_BYTES = 1 << 19
export const RANGES_PER_PROMPT = 5
const MESSAGE_BYTES = 300
const MESSAGE_EVERY_MS = 20
const ECHO_EVERY_MS = 5

class EmulatedPeer {
  readonly messageDelaysMs: number[] = []
  readonly #options: RunOptions
  readonly #world: SimWorld
  readonly #link: EmulatedLink
  readonly #flow: LinkFlow
  readonly #lanes = new Map<number, TcpLane>()
  #senderFreeMs = 0
  #encoderFreeMs = 0
  #numTransfers = 0
  #doneMs = 0

  constructor(options: RunOptions) {
    this.#options = options
    this.#world = new SimWorld({ seed: options.seed })
    this.#link = new EmulatedLink(options.conditions, this.#world.random('losses'))
    this.#flow = new LinkFlow(options.control)
  }

  run(): number {
    const { roundTripMs } = this.#options.conditions
    // Connect, and greet.
    this.#lanes.set(0, new TcpLane(this.#world, this.#link))
    this.#world.schedule(2 * roundTripMs, () => {
      this.#flow.laneOpened(0)
      this.#options.control.echoed(roundTripMs, this.#world.nowMs())
      for (let range = 0; range < CONCURRENT_RANGES; range++) this.#begin()
      this.#ask()
      this.#everyMs(ECHO_EVERY_MS, () => this.#echo())
      this.#everyMs(MESSAGE_EVERY_MS, () => this.messageDelaysMs.push(this.#link.queueMs(this.#world.nowMs()) + this.#messageMs))
    })
    this.#world.runUntilIdle()
    return this.#doneMs
  }

  get #messageMs(): number {
    const { bytesPerSec, roundTripMs } = this.#options.conditions
    return (MESSAGE_BYTES / bytesPerSec) * 1000 + roundTripMs / 2
  }

  get #isOver(): boolean {
    return this.#flow.isIdle
  }

  #everyMs(periodMs: number, act: () => void): void {
    if (this.#isOver) return
    act()
    this.#world.schedule(periodMs, () => this.#everyMs(periodMs, act))
  }

  #begin(): void {
    this.#numTransfers++
    const isLast = this.#numTransfers % RANGES_PER_PROMPT === 0
    this.#flow.begin({ transferId: this.#numTransfers, numBytes: isLast ? LAST_RANGE_BYTES : RANGE_BYTES })
  }

  #echo(): void {
    const { roundTripMs } = this.#options.conditions
    const tookMs = roundTripMs + this.#link.queueMs(this.#world.nowMs() + roundTripMs / 2)
    this.#world.schedule(tookMs, () => {
      this.#options.control.echoed(tookMs, this.#world.nowMs())
      this.#ask()
    })
  }

  #ask(): void {
    this.#openLanes()
    const { roundTripMs } = this.#options.conditions
    for (const want of this.#flow.wants(this.#world.nowMs())) this.#world.schedule(roundTripMs / 2, () => this.#serve(want))
  }

  #openLanes(): void {
    while (this.#lanes.size <= this.#options.control.numLanes) {
      const laneId = this.#lanes.size
      this.#lanes.set(laneId, new TcpLane(this.#world, this.#link))
      this.#world.schedule(2 * this.#options.conditions.roundTripMs, () => {
        this.#flow.laneOpened(laneId)
        this.#ask()
      })
    }
  }

  #serve(want: Want): void {
    const { ends } = this.#options
    const nowMs = this.#world.nowMs()
    this.#encoderFreeMs = Math.max(nowMs, this.#encoderFreeMs) + (want.numBytes / ends.encodeBytesPerSec[want.encoding]) * 1000
    this.#senderFreeMs = Math.max(this.#encoderFreeMs, this.#senderFreeMs) + (want.numBytes / ends.sendBytesPerSec) * 1000
    const wireBytes = Math.ceil(want.numBytes * ends.wireRatio[want.encoding])
    const tcp = this.#lanes.get(want.laneId)!
    this.#world.scheduleAt(this.#senderFreeMs, () => tcp.write(wireBytes, () => this.#arrived(want, wireBytes)))
  }

  #arrived(want: Want, wireBytes: number): void {
    if (this.#flow.received({ ...want, wireBytes, encodeMs: (want.numBytes / this.#options.ends.encodeBytesPerSec[want.encoding]) * 1000 }, this.#world.nowMs())) {
      this.#flow.end(want.transferId)
      if (this.#numTransfers < this.#options.numTransfers) this.#begin()
      else this.#doneMs = this.#world.nowMs()
    }
    this.#ask()
  }
}

/** Deterministic: the same options give the same run. */
export function runEmulated(options: RunOptions): EmulatedRun {
  const peer = new EmulatedPeer(options)
  const totalMs = peer.run()
  return { totalMs, messageDelaysMs: peer.messageDelaysMs }
}
