// Frames that one lane is to carry, in the order in which they were asked for.
//
// 1. About WRITE_AHEAD_BYTES are with the socket, whatever the receiver takes: enough for it to go on while the next frames are made.
// 2. Frames of transfers that are over are dropped.
import type { Socket } from 'node:net'
import { crc32 } from 'node:zlib'
import type { KvEncoding } from '@rubato/policy'
import { encodePayload } from '../frame-codec.ts'
import { encodeLaneHeader } from '../lane-message.ts'
import type { ServedTransfer } from './served-transfer.ts'

export interface WantedFrame {
  readonly transfer: ServedTransfer
  readonly transferId: number
  readonly firstByte: number
  readonly numBytes: number
  readonly encoding: KvEncoding
}

interface EncodedFrame {
  readonly payload: Uint8Array
  readonly encodeMs: number
}

interface QueuedFrame extends WantedFrame {
  encoded: Promise<EncodedFrame> | null
}

const ENCODED_AHEAD = 3
const WRITE_AHEAD_BYTES = 1 << 20

export class FrameQueue {
  readonly #socket: Socket
  readonly #isSummed: boolean
  readonly #frames: QueuedFrame[] = []
  #isSending = false

  /** `isSummed`: nothing below the lane checks what it carries. */
  constructor(socket: Socket, isSummed: boolean) {
    this.#socket = socket
    this.#isSummed = isSummed
  }

  /** Frames that wait. */
  get size(): number {
    return this.#frames.length
  }

  add(frame: WantedFrame): void {
    this.#frames.push({ ...frame, encoded: null })
    if (!this.#isSending) void this.#send()
  }

  async #send(): Promise<void> {
    this.#isSending = true
    for (let frame = this.#next(); frame !== null && !this.#socket.destroyed; frame = this.#next()) {
      const encoded = this.#encode(frame)
      for (const ahead of this.#frames.slice(0, ENCODED_AHEAD)) void this.#encode(ahead)
      try {
        await this.#write(frame, await encoded)
      } catch {
        // Its transfer says why: blocks that cannot be read.
      }
    }
    this.#isSending = false
  }

  #next(): QueuedFrame | null {
    for (;;) {
      const frame = this.#frames.shift()
      if (frame === undefined) return null
      if (!frame.transfer.isOver) return frame
    }
  }

  #encode(frame: QueuedFrame): Promise<EncodedFrame> {
    if (frame.encoded === null) {
      frame.encoded = encodeFrame(frame)
      frame.encoded.catch(() => {})
    }
    return frame.encoded
  }

  /** Resolves once the socket takes more. */
  #write({ transfer, transferId, firstByte, numBytes, encoding }: QueuedFrame, { payload, encodeMs }: EncodedFrame): Promise<void> {
    if (transfer.isOver) return Promise.resolve()
    const checksum = this.#isSummed ? crc32(payload) : 0
    const header = encodeLaneHeader('frame', transferId, { firstByte, numBytes, encoding, payloadBytes: payload.byteLength, checksum, encodeMicros: Math.round(1000 * encodeMs) })
    return new Promise((resolve) => {
      this.#socket.cork()
      this.#socket.write(header)
      this.#socket.write(payload, () => {
        transfer.touch()
        resolve()
      })
      this.#socket.uncork()
      if (this.#socket.writableLength < WRITE_AHEAD_BYTES) resolve()
    })
  }
}

async function encodeFrame({ transfer, firstByte, numBytes, encoding }: WantedFrame): Promise<EncodedFrame> {
  const bytes = (await transfer.bytes).subarray(firstByte, firstByte + numBytes)
  const startedMs = performance.now()
  const payload = await encodePayload(bytes, encoding)
  return { payload, encodeMs: performance.now() - startedMs }
}
