// One lane at its sender: what the receiver says on it, and the frames that go back.
import type { Socket } from 'node:net'
import { encodeLaneHeader } from '../lane-message.ts'
import type { LaneHeader, LaneMessageKind } from '../lane-message.ts'
import { LaneReader } from '../lane-reader.ts'
import { FrameQueue } from './frame-queue.ts'
import type { JoinedLane } from './served-transfer.ts'
import type { ServedTransfers } from './served-transfers.ts'

export interface ServedLaneOptions {
  readonly transfers: ServedTransfers
  /** Nothing below the lane checks what it carries. */
  readonly isSummed: boolean
  readonly peer: string
  /** Takes what the hello brought along, gives what the welcome brings back. Throws when the receiver may not come in here. */
  readonly greet: (ticket: Uint8Array) => Uint8Array
}

/** Pull requests and tickets are small. */
const MAX_PAYLOAD_BYTES = 64 * 1024
const MAX_QUEUED_FRAMES = 16_384

class ServedLane implements JoinedLane {
  readonly #socket: Socket
  readonly #options: ServedLaneOptions
  readonly #frames: FrameQueue
  #hasGreeted = false

  constructor(socket: Socket, options: ServedLaneOptions) {
    this.#socket = socket
    this.#options = options
    this.#frames = new FrameQueue(socket, options.isSummed)
  }

  sayBroken(transferId: number): void {
    this.#say('broken', transferId)
  }

  /** Its connection is closed. */
  closed(): void {
    this.#options.transfers.left(this)
  }

  /** Throws when the message is none that a receiver sends. */
  take(header: LaneHeader, payload: Uint8Array): void {
    if (this.#hasGreeted === (header.kind === 'hello')) throw new Error('a lane begins with one hello')
    switch (header.kind) {
      case 'hello':
        this.#hasGreeted = true
        return this.#say('welcome', 0, {}, this.#options.greet(payload))
      case 'echo':
        this.#options.transfers.touched(this)
        return this.#say('echo', header.transferId)
      case 'open':
        return this.#open(header, payload)
      case 'want':
        return this.#want(header)
      case 'end':
        return this.#end(header)
      case 'welcome':
      case 'frame':
      case 'refused':
      case 'broken':
        throw new Error(`a receiver sent '${header.kind}'`)
    }
  }

  #open({ transferId, key }: LaneHeader, payload: Uint8Array): void {
    const { transfers, peer } = this.#options
    const answer = transfers.open(payload, { key, transferId, peer, lane: this })
    if (answer === 'over') this.sayBroken(transferId)
    else if (answer !== 'opened') this.#say('refused', transferId, { flag: answer === 'mismatch' })
  }

  #want({ transferId, key, firstByte, numBytes, encoding }: LaneHeader): void {
    const transfer = this.#options.transfers.find(key)
    // It is over, which was said already.
    if (transfer === null) return
    if (this.#frames.size >= MAX_QUEUED_FRAMES || numBytes === 0 || firstByte + numBytes > transfer.numBytes) throw new Error('what is wanted cannot be had')
    transfer.touch()
    this.#frames.add({ transfer, transferId, firstByte, numBytes, encoding })
  }

  #end({ transferId, key, flag }: LaneHeader): void {
    this.#options.transfers.ended(key, flag)
    this.#say('end', transferId)
  }

  #say(kind: LaneMessageKind, transferId: number, fields: Partial<LaneHeader> = {}, payload: Uint8Array = new Uint8Array(0)): void {
    if (this.#socket.destroyed) return
    this.#socket.cork()
    this.#socket.write(encodeLaneHeader(kind, transferId, { ...fields, payloadBytes: payload.byteLength }))
    if (payload.byteLength > 0) this.#socket.write(payload)
    this.#socket.uncork()
  }
}

function placeFor({ payloadBytes }: LaneHeader): Uint8Array {
  if (payloadBytes > MAX_PAYLOAD_BYTES) throw new Error(`a payload of ${payloadBytes} bytes`)
  return new Uint8Array(payloadBytes)
}

/** Serves the lane until its socket is closed; whatever is none of its messages closes it. */
export function serveLane(socket: Socket, options: ServedLaneOptions): void {
  const lane = new ServedLane(socket, options)
  const reader = new LaneReader({ placeFor, onMessage: (header, payload) => lane.take(header, payload) })
  socket.on('data', (bytes: Buffer) => {
    try {
      reader.feed(bytes)
    } catch {
      socket.destroy()
    }
  })
  socket.on('error', () => socket.destroy())
  socket.on('close', () => lane.closed())
}
