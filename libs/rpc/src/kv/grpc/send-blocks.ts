// The sending end of a pull: checks the token, reads the blocks, sends them frame by frame.
//
// 1. One frame at a time is with gRPC, whatever the receiver does: memory is bounded by the transfer's bytes and that frame,
//    and the bytes are let go of as soon as the transfer is over. The next frame is summed up while the socket takes this one.
// 2. Every claimed offer is settled: sent, or broken when the receiver left or stalled, the offer was withdrawn, or the
//    blocks could not be read.
import { status } from '@grpc/grpc-js'
import type { handleServerStreamingCall, ServerWritableStream } from '@grpc/grpc-js'
import type { PullRequest__Output } from '../../gen/rubato/v1/PullRequest.ts'
import { IdleTimer } from '../idle-timer.ts'
import type { OnKvTransfer } from '../kv-events.ts'
import { OutgoingFrame } from './kv-service.ts'
import { transferBytes } from '../offer-book.ts'
import type { ClaimedOffer, OfferBook } from '../offer-book.ts'

export interface SendOptions {
  readonly book: OfferBook
  /** Payload of a frame; the last one of a transfer may be smaller. */
  readonly framePayloadBytes: number
  /** A receiver that takes no frame for this long has its transfer ended. */
  readonly stallTimeoutMs: number
  readonly onTransfer: OnKvTransfer
}

type PullCall = ServerWritableStream<PullRequest__Output, OutgoingFrame>

const REFUSALS = {
  unknown: { code: status.PERMISSION_DENIED, details: 'this token opens nothing' },
  mismatch: { code: status.FAILED_PRECONDITION, details: 'what is asked for is not what is offered' },
} as const

/** The handler of KvTransfer.Pull over the book's offers. */
export function pullHandler(options: SendOptions): handleServerStreamingCall<PullRequest__Output, OutgoingFrame> {
  return (call) => {
    const { recovery, hop, ...request } = call.request
    const claim = options.book.claim({ ...request, epoch: { recovery, hop } })
    if (claim.kind === 'claimed') return new OutgoingTransfer(call, claim.claimed, options).start()
    options.onTransfer({ kind: 'send-refused', peer: call.getPeer(), reason: claim.kind })
    call.emit('error', REFUSALS[claim.kind])
  }
}

class OutgoingTransfer {
  readonly #call: PullCall
  readonly #claimed: ClaimedOffer
  readonly #options: SendOptions
  readonly #startedMs = performance.now()
  #bytes: Uint8Array | null = null
  #nextAt = 0
  /** The frame to send next; null: there is none. */
  #prepared: OutgoingFrame | null = null
  #stall: IdleTimer | undefined
  #isOver = false

  constructor(call: PullCall, claimed: ClaimedOffer, options: SendOptions) {
    this.#call = call
    this.#claimed = claimed
    this.#options = options
  }

  start(): void {
    const { offer, signal } = this.#claimed
    this.#call.on('cancelled', () => this.#break('the receiver left'))
    signal.addEventListener('abort', () => this.#break('the offer was withdrawn'), { once: true })
    offer.read().then(
      (bytes) => this.#begin(bytes),
      (error: unknown) => this.#break('the blocks could not be read', error),
    )
  }

  #begin(bytes: Uint8Array): void {
    if (this.#isOver) return
    const expectedBytes = transferBytes(this.#claimed.offer)
    if (bytes.byteLength !== expectedBytes) return this.#break(`${bytes.byteLength} bytes were read instead of ${expectedBytes}`)
    this.#bytes = bytes
    this.#stall = new IdleTimer(this.#options.stallTimeoutMs, () => this.#break(`the receiver took nothing for ${this.#options.stallTimeoutMs} ms`))
    this.#prepared = this.#prepare(bytes)
    this.#advance()
  }

  /** Sends a frame; called again once gRPC has let go of it. */
  readonly #advance = (error?: Error | null): void => {
    if (this.#isOver || this.#bytes === null) return
    if (error) return this.#break('the link failed', error)
    this.#stall?.touch()
    if (this.#prepared === null) return this.#finish(this.#bytes.byteLength)
    this.#call.write(this.#prepared, this.#advance)
    this.#prepared = this.#prepare(this.#bytes)
  }

  #prepare(bytes: Uint8Array): OutgoingFrame | null {
    const start = this.#nextAt
    if (start >= bytes.byteLength) return null
    this.#nextAt = Math.min(bytes.byteLength, start + this.#options.framePayloadBytes)
    const { blockBytes, epoch } = this.#claimed.offer
    const payload = bytes.subarray(start, this.#nextAt)
    return new OutgoingFrame({ transferId: this.#call.request.transferId, epoch, blockIndex: Math.floor(start / blockBytes), byteOffset: start % blockBytes, payload })
  }

  #finish(numBytes: number): void {
    this.#release()
    this.#call.end()
    const { requestId, trace = null } = this.#claimed.offer
    this.#options.onTransfer({ kind: 'sent', requestId, trace, peer: this.#call.getPeer(), numBytes, transferMs: performance.now() - this.#startedMs })
    this.#claimed.sent()
  }

  #break(reason: string, cause?: unknown): void {
    if (this.#isOver) return
    this.#release()
    if (!this.#call.cancelled) this.#call.emit('error', { code: status.ABORTED, details: 'the transfer was broken off' })
    const { requestId, trace = null } = this.#claimed.offer
    this.#options.onTransfer({ kind: 'send-broken', requestId, trace, peer: this.#call.getPeer(), reason })
    this.#claimed.broken(reason, cause)
  }

  #release(): void {
    this.#isOver = true
    this.#stall?.stop()
    this.#bytes = null
    this.#prepared = null
  }
}
