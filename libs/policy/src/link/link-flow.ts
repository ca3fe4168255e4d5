// Which bytes of which transfer are asked for next, over which connection ("lane"). The receiver of KV decides; the sender sends
// what it is asked for. No clock and no sockets here: the same code runs over real connections and over simulated ones.
//
// 1. A byte is under way at most once: it is asked for again only when its frame was spoiled or its lane is gone.
// 2. Transfers are served in the order in which they came.
// 3. Lane 0 carries messages; frames only until another lane is open, so that round trips measure the link's queue, not ours.
import type { Asked, LinkLoad } from './channel.ts'
import type { KvEncoding } from './encodings.ts'
import type { LinkControl } from './link-control.ts'

export interface ByteRange {
  readonly firstByte: number
  readonly numBytes: number
}

/** Ask for this range in one frame. */
export interface Want extends ByteRange {
  readonly laneId: number
  readonly transferId: number
  readonly encoding: KvEncoding
}

export interface FlowTransfer {
  readonly transferId: number
  readonly numBytes: number
}

export interface ReceivedFrame {
  readonly transferId: number
  readonly firstByte: number
  readonly wireBytes: number
  readonly encodeMs: number
}

interface UnderWay extends Want {
  readonly asked: Asked
  /** As expected when it was asked for. */
  readonly wireBytes: number
}

interface Progress extends FlowTransfer {
  /** Bytes below it were asked for once. */
  nextByte: number
  /** To be asked for again, before what was never asked for. */
  readonly again: ByteRange[]
  readonly underWay: Map<number, UnderWay>
  numReceived: number
}

interface Lane {
  readonly laneId: number
  /** Under way on it. */
  wireBytes: number
}

export class LinkFlow {
  readonly #control: LinkControl
  readonly #transfers = new Map<number, Progress>()
  readonly #lanes = new Map<number, Lane>()
  #underWayBytes = 0
  #numAskedAgain = 0

  constructor(control: LinkControl) {
    this.#control = control
  }

  /** Ranges asked for a second time, since the start. */
  get numAskedAgain(): number {
    return this.#numAskedAgain
  }

  get isIdle(): boolean {
    return this.#transfers.size === 0
  }

  begin({ transferId, numBytes }: FlowTransfer): void {
    this.#transfers.set(transferId, { transferId, numBytes, nextByte: 0, again: [], underWay: new Map(), numReceived: 0 })
  }

  /** The transfer is over, whole or not; what is still under way counts no longer. */
  end(transferId: number): void {
    const transfer = this.#transfers.get(transferId)
    if (transfer === undefined) return
    for (const frame of transfer.underWay.values()) this.#settle(transfer, frame)
    this.#transfers.delete(transferId)
  }

  laneOpened(laneId: number): void {
    this.#lanes.set(laneId, { laneId, wireBytes: 0 })
  }

  /** What was under way on it is asked for again. */
  laneLost(laneId: number): void {
    this.#lanes.delete(laneId)
    for (const transfer of this.#transfers.values()) {
      for (const frame of transfer.underWay.values()) if (frame.laneId === laneId) this.#askAgain(transfer, frame)
    }
  }

  /** A frame came and is good; true: it was the transfer's last one. False also for frames that nobody waits for. */
  received({ transferId, firstByte, wireBytes, encodeMs }: ReceivedFrame, nowMs: number): boolean {
    const transfer = this.#transfers.get(transferId)
    const frame = transfer?.underWay.get(firstByte)
    if (transfer === undefined || frame === undefined) return false
    this.#settle(transfer, frame)
    transfer.numReceived += frame.numBytes
    this.#control.received(frame.asked, { encoding: frame.encoding, numBytes: frame.numBytes, wireBytes, encodeMs }, this.#load, nowMs)
    return transfer.numReceived === transfer.numBytes
  }

  /** The range under way that starts there; undefined: none does. */
  expected(transferId: number, firstByte: number): Want | undefined {
    return this.#transfers.get(transferId)?.underWay.get(firstByte)
  }

  /** A frame came and is of no use. */
  spoiled(transferId: number, firstByte: number): void {
    const transfer = this.#transfers.get(transferId)
    const frame = transfer?.underWay.get(firstByte)
    if (transfer !== undefined && frame !== undefined) this.#askAgain(transfer, frame)
  }

  /** What is to be asked for now; it counts as under way. Call after every change. */
  wants(nowMs: number): readonly Want[] {
    const wants: Want[] = []
    for (const transfer of this.#transfers.values()) {
      for (let want = this.#next(transfer, nowMs); want !== null; want = this.#next(transfer, nowMs)) wants.push(want)
    }
    return wants
  }

  #next(transfer: Progress, nowMs: number): Want | null {
    const lane = this.#freestLane()
    const range = transfer.again[0] ?? (transfer.nextByte < transfer.numBytes ? this.#freshRange(transfer) : null)
    if (lane === null || range === null) return null
    const { transferId } = transfer
    const { encoding } = this.#control
    const wireBytes = Math.ceil(range.numBytes * this.#control.wireRatio(encoding))
    if (this.#underWayBytes >= this.#control.windowBytes) return null
    if (transfer.again.length > 0) {
      transfer.again.shift()
      this.#numAskedAgain++
    } else transfer.nextByte += range.numBytes
    const asked = this.#control.asked(this.#underWayBytes === 0, nowMs)
    const want = { ...range, laneId: lane.laneId, transferId, encoding }
    lane.wireBytes += wireBytes
    transfer.underWay.set(range.firstByte, { ...want, asked, wireBytes })
    this.#underWayBytes += wireBytes
    return want
  }

  #freshRange({ nextByte, numBytes }: Progress): ByteRange {
    const { frameBytes } = this.#control
    const leftBytes = numBytes - nextByte
    // A short rest goes along with the frame before it.
    return { firstByte: nextByte, numBytes: leftBytes <= 1.25 * frameBytes ? leftBytes : frameBytes }
  }

  /** Of as many lanes as the control wants, the one with least under way; null: none is open. */
  #freestLane(): Lane | null {
    let freest: Lane | null = null
    let numLeft = this.#control.numLanes
    for (const lane of this.#lanes.values()) {
      if (lane.laneId === 0 && this.#lanes.size > 1) continue
      if (freest === null || lane.wireBytes < freest.wireBytes) freest = lane
      if (--numLeft === 0) break
    }
    return freest
  }

  get #areLanesOpen(): boolean {
    return this.#lanes.size - (this.#lanes.has(0) ? 1 : 0) >= this.#control.numLanes
  }

  get #load(): LinkLoad {
    const hasMore = [...this.#transfers.values()].some(({ again, nextByte, numBytes }) => again.length > 0 || nextByte < numBytes)
    return { areLanesOpen: this.#areLanesOpen, hasMore, underWayBytes: this.#underWayBytes }
  }

  #askAgain(transfer: Progress, frame: UnderWay): void {
    this.#settle(transfer, frame)
    transfer.again.push({ firstByte: frame.firstByte, numBytes: frame.numBytes })
  }

  #settle(transfer: Progress, { firstByte, laneId, wireBytes }: UnderWay): void {
    transfer.underWay.delete(firstByte)
    const lane = this.#lanes.get(laneId)
    if (lane !== undefined) lane.wireBytes -= wireBytes
    this.#underWayBytes -= wireBytes
  }
}
