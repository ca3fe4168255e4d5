// One connection of TCP over an emulated link, packet by packet in virtual time: CUBIC (RFC 9438) with selective acknowledgement,
// a tail probe and time-outs, in order at the receiver. What a chooser of transports has to cope with, and no more.
import type { SimWorld } from '@rubato/sim'
import type { EmulatedLink } from './emulated-link.ts'

const MSS_BYTES = 1448
const INITIAL_PACKETS = 10
const RECEIVE_WINDOW_BYTES = 6 << 20
const LEAST_TIMEOUT_MS = 200
const PROBE_SLACK_MS = 10
const CUBIC_BETA = 0.7
const CUBIC_SCALE = 0.4
/** RENO's growth with CUBIC's back-off. */
const RENO_GROWTH = (3 * (1 - CUBIC_BETA)) / (1 + CUBIC_BETA)
/** Packets sent later that must have arrived before one counts as lost. */
const REORDERING = 3

interface Packet {
  readonly endByte: number
  readonly numBytes: number
  /** Of its latest transmission. */
  order: number
  state: 'sent' | 'lost' | 'acked'
  hasArrived: boolean
}

interface Transmission {
  readonly packet: Packet
  readonly order: number
}

interface Mark {
  readonly endByte: number
  readonly onDelivered: () => void
}

export class TcpLane {
  readonly #world: SimWorld
  readonly #link: EmulatedLink
  /** Written by the application, not yet cut into packets. */
  #unsentBytes = 0
  #writtenBytes = 0
  readonly #packets: Packet[] = []
  /** Packets below these places were delivered in order, and acknowledged. */
  #deliveredTo = 0
  #ackedTo = 0
  /** Latest first to last, those that may still count as lost. */
  #transmissions: Transmission[] = []
  #lost: Packet[] = []
  #inflightBytes = 0
  #numTransmissions = 0
  #cwnd = INITIAL_PACKETS
  #ssthresh = Number.MAX_VALUE
  #wMax = 0
  #epochMs: number | null = null
  /** Losses of transmissions up to this one were answered already. */
  #recoveredTo = -1
  #activeMs = 0
  #dueMs: number | null = null
  #isTimerSet = false
  #numTimeouts = 0
  readonly #marks: Mark[] = []

  constructor(world: SimWorld, link: EmulatedLink) {
    this.#world = world
    this.#link = link
  }

  /** Hands bytes to the connection; calls back when the last of them was delivered. */
  write(numBytes: number, onDelivered: () => void): void {
    // Slow start after idle, as Linux does.
    if (this.#inflightBytes === 0 && this.#world.nowMs() - this.#activeMs > this.#timeoutMs) this.#cwnd = Math.min(this.#cwnd, INITIAL_PACKETS)
    this.#unsentBytes += numBytes
    this.#writtenBytes += numBytes
    this.#marks.push({ endByte: this.#writtenBytes, onDelivered })
    this.#send()
  }

  get #timeoutMs(): number {
    return Math.max(LEAST_TIMEOUT_MS, 2 * this.#link.roundTripMs)
  }

  #send(): void {
    while (this.#inflightBytes === 0 || this.#inflightBytes + MSS_BYTES <= Math.min(RECEIVE_WINDOW_BYTES, this.#cwnd * MSS_BYTES)) {
      const packet = this.#nextLost() ?? this.#cut()
      if (packet === null) break
      this.#transmit(packet)
    }
    if (this.#inflightBytes > 0) this.#restartTimer()
    else this.#dueMs = null
  }

  #nextLost(): Packet | null {
    for (;;) {
      const packet = this.#lost.shift()
      if (packet === undefined) return null
      if (packet.state === 'lost') return packet
    }
  }

  #cut(): Packet | null {
    const numBytes = Math.min(MSS_BYTES, this.#unsentBytes)
    if (numBytes === 0) return null
    const packet: Packet = { endByte: this.#writtenBytes - this.#unsentBytes + numBytes, numBytes, order: 0, state: 'lost', hasArrived: false }
    this.#unsentBytes -= numBytes
    this.#packets.push(packet)
    return packet
  }

  #transmit(packet: Packet): void {
    const nowMs = this.#world.nowMs()
    const order = this.#numTransmissions++
    packet.state = 'sent'
    packet.order = order
    this.#activeMs = nowMs
    this.#inflightBytes += packet.numBytes
    this.#transmissions.push({ packet, order })
    const arrivalMs = this.#link.carry(packet.numBytes, nowMs)
    if (arrivalMs !== null) this.#world.scheduleAt(arrivalMs, () => this.#arrive(packet, order))
  }

  #arrive(packet: Packet, order: number): void {
    packet.hasArrived = true
    while (this.#packets[this.#deliveredTo]?.hasArrived === true) this.#deliveredTo++
    const deliveredBytes = this.#deliveredTo === 0 ? 0 : this.#packets[this.#deliveredTo - 1]!.endByte
    while (this.#marks.length > 0 && this.#marks[0]!.endByte <= deliveredBytes) this.#marks.shift()!.onDelivered()
    this.#world.schedule(this.#link.roundTripMs / 2, () => this.#acknowledge(packet, order))
  }

  #acknowledge(packet: Packet, order: number): void {
    if (packet.state === 'acked') return
    if (packet.state === 'sent') this.#inflightBytes -= packet.numBytes
    packet.state = 'acked'
    while (this.#packets[this.#ackedTo]?.state === 'acked') this.#ackedTo++
    this.#numTimeouts = 0
    this.#activeMs = this.#world.nowMs()
    if (order > this.#recoveredTo) this.#grow(packet.numBytes)
    this.#findLosses(order)
    this.#send()
  }

  #findLosses(ackedOrder: number): void {
    let numPast = 0
    for (const { packet, order } of this.#transmissions) {
      if (order > ackedOrder - REORDERING) break
      numPast++
      if (packet.state !== 'sent' || packet.order !== order) continue
      this.#lose(packet)
      if (order > this.#recoveredTo) this.#backOff(CUBIC_BETA * this.#cwnd)
    }
    if (numPast > 0) this.#transmissions = this.#transmissions.slice(numPast)
  }

  #lose(packet: Packet): void {
    packet.state = 'lost'
    this.#inflightBytes -= packet.numBytes
    this.#lost.push(packet)
  }

  #backOff(cwnd: number): void {
    this.#recoveredTo = this.#numTransmissions - 1
    this.#wMax = this.#cwnd
    this.#cwnd = Math.max(2, cwnd)
    this.#ssthresh = this.#cwnd
    this.#epochMs = null
  }

  #grow(numBytes: number): void {
    // A window that is not used does not grow.
    if (this.#unsentBytes === 0 && this.#inflightBytes < (this.#cwnd * MSS_BYTES) / 2) return
    const numPackets = numBytes / MSS_BYTES
    if (this.#cwnd < this.#ssthresh) {
      this.#cwnd += numPackets
      return
    }
    const nowMs = this.#world.nowMs()
    this.#epochMs ??= nowMs
    const k = Math.cbrt((this.#wMax * (1 - CUBIC_BETA)) / CUBIC_SCALE)
    const target = CUBIC_SCALE * ((nowMs - this.#epochMs + this.#link.roundTripMs) / 1000 - k) ** 3 + this.#wMax
    const cubic = Math.min(0.5, Math.max(0, target - this.#cwnd) / this.#cwnd)
    this.#cwnd += Math.max(cubic, RENO_GROWTH / this.#cwnd) * numPackets
  }

  #restartTimer(): void {
    const nowMs = this.#world.nowMs()
    const probeMs = 2 * this.#link.roundTripMs + this.#link.queueMs(nowMs) + PROBE_SLACK_MS
    this.#dueMs = nowMs + (this.#numTimeouts === 0 ? probeMs : this.#timeoutMs * 2 ** (this.#numTimeouts - 1))
    if (!this.#isTimerSet) this.#setTimer(this.#dueMs)
  }

  #setTimer(dueMs: number): void {
    this.#isTimerSet = true
    this.#world.scheduleAt(dueMs, () => {
      this.#isTimerSet = false
      if (this.#dueMs === null) return
      if (this.#dueMs > this.#world.nowMs()) this.#setTimer(this.#dueMs)
      else this.#onTimeout()
    })
  }

  /** First a probe: the oldest packet again. Then everything counts as lost. */
  #onTimeout(): void {
    this.#numTimeouts++
    const sent = this.#packets.slice(this.#ackedTo).filter(({ state }) => state === 'sent')
    if (this.#numTimeouts === 1) this.#lose(sent[0]!)
    else {
      for (const packet of sent) this.#lose(packet)
      this.#backOff(this.#cwnd / 2)
      this.#cwnd = 1
    }
    this.#send()
  }
}
