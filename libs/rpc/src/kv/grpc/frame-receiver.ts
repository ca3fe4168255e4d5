// Puts the frames of one transfer together, into one buffer that is taken before the first.
//
// 1. Frames are taken in order only, each where the one before ended: no overlap, no gap, no duplicate, nothing out of range.
// 2. The bytes are handed out only when the last of them has come and every frame was checked.
import { RubatoError } from '@rubato/config'
import type { BufferPool } from '../buffer-pool.ts'
import type { Epoch } from '../kv-transport.ts'
import { transferBytes } from '../offer-book.ts'
import { decodeFrame } from './kv-frame.ts'

export interface ExpectedTransfer {
  readonly transferId: number
  readonly epoch: Epoch
  readonly numBlocks: number
  readonly blockBytes: number
}

function corrupt(problem: string): RubatoError {
  return new RubatoError('kv_corrupt', `pulled KV blocks are unusable: ${problem}`, { retryable: true })
}

export class FrameReceiver {
  readonly #expected: ExpectedTransfer
  readonly #bytes: Uint8Array
  #numReceived = 0

  /** Throws InvalidArgument when the expected size is none. */
  constructor(expected: ExpectedTransfer, pool: BufferPool) {
    this.#expected = expected
    this.#bytes = pool.take(transferBytes(expected))
  }

  get numReceivedBytes(): number {
    return this.#numReceived
  }

  /** Throws RubatoError `kv_corrupt` when it is not exactly the frame that has to come next. */
  accept(message: Buffer): void {
    const frame = decodeFrame(message)
    if ('problem' in frame) throw corrupt(`a frame ${frame.problem}`)
    const { transferId, epoch, blockBytes } = this.#expected
    if (frame.transferId !== transferId) throw corrupt('a frame is of another transfer')
    if (frame.epoch.recovery !== epoch.recovery || frame.epoch.hop !== epoch.hop) throw corrupt('a frame is of another epoch')
    const start = frame.blockIndex * blockBytes + frame.byteOffset
    if (frame.byteOffset >= blockBytes || start !== this.#numReceived) throw corrupt(`a frame for byte ${start} came where ${this.#numReceived} is next`)
    const end = start + frame.payload.byteLength
    if (end > this.#bytes.byteLength) throw corrupt(`a frame ends at byte ${end} of ${this.#bytes.byteLength}`)
    if (end === start) throw corrupt('a frame is empty')
    this.#bytes.set(frame.payload, start)
    this.#numReceived = end
  }

  /** All bytes. Throws RubatoError `kv_corrupt` while some are missing. */
  finish(): Uint8Array {
    const numExpected = this.#bytes.byteLength
    if (this.#numReceived !== numExpected) throw corrupt(`the stream ended after ${this.#numReceived} of ${numExpected} bytes`)
    return this.#bytes
  }
}
