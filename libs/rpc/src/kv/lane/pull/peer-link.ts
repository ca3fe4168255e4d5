// The link to one sender, at its receiver: the transfers over its lanes. What is asked for next, and where, LinkFlow decides.
//
// 1. A transfer survives the loss of lanes: what was under way on them is asked for again, and what was said on lane 0 said again,
//    until the sender has answered it.
// 2. Only the frame that was asked for on a lane is taken from it: its range, its encoding, its length and, over plain TCP, its sum.
// 3. The memory of a transfer that ended early is nobody's any more: a frame under way may still be read into it.
import { randomBytes, randomInt } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { AdaptiveControl, LinkFlow } from '@rubato/policy'
import type { KvEncoding, LinkReport, Want } from '@rubato/policy'
import { RubatoError } from '@rubato/config'
import type { BufferPool } from '../../buffer-pool.ts'
import { PULL_METHOD } from '../../grpc/kv-service.ts'
import type { KvPullRequest } from '../../kv-transport.ts'
import { transferBytes } from '../../offer-book.ts'
import { decodePayload, mostEncodedBytes } from '../frame-codec.ts'
import { KEY_BYTES, encodeLaneHeader } from '../lane-message.ts'
import type { LaneHeader } from '../lane-message.ts'
import { IncomingTransfer, linkFailed, unlessAborted } from './incoming-transfer.ts'
import { LaneSet } from './lane-set.ts'
import type { LaneKind, LaneSetOptions } from './lane-set.ts'

export interface PeerLinkOptions extends LaneSetOptions {
  /** Encodings taken beside raw. */
  readonly encodings: readonly KvEncoding[]
  readonly pool: BufferPool
  /** The link has failed; the next pull opens a new one. */
  readonly onFailed: () => void
}

/** Between two echoes, beside the time that one takes. */
const ECHO_EVERY_MS = 5
/** Senders send what they are asked for, which is never more. */
const MAX_FRAME_BYTES = 1 << 20

export class PeerLink {
  readonly #options: PeerLinkOptions
  readonly #lanes: LaneSet
  readonly #transfers = new Map<number, IncomingTransfer>()
  /** By transfer: how it ended, until the sender has heard it. */
  readonly #ends = new Map<number, Uint8Array>()
  readonly #control: AdaptiveControl
  readonly #flow: LinkFlow
  #greeting: Promise<void> | null = null
  #isMessageLaneOpen = false
  #hasFailed = false
  #lastTransferId = randomInt(2 ** 32)
  #echoAskedMs: number | null = null
  #nextEchoMs = 0
  #echoTimer: NodeJS.Timeout | undefined

  constructor(options: PeerLinkOptions) {
    this.#options = options
    this.#control = new AdaptiveControl(options.encodings)
    this.#flow = new LinkFlow(this.#control)
    this.#lanes = new LaneSet(options, {
      listenerOf: (laneId, isSummed) => ({
        placeFor: (header) => this.#placeFor(laneId, header),
        onMessage: (header, payload) => this.#take(laneId, header, payload, isSummed),
      }),
      opened: (laneId, roundTripMs) => this.#opened(laneId, roundTripMs),
      lost: (laneId) => this.#lost(laneId),
      failed: (cause) => this.fail(linkFailed(options.kvAddress, 'its lanes were lost', cause)),
    })
  }

  get kind(): LaneKind | null {
    return this.#lanes.kind
  }

  get report(): LinkReport {
    return this.#control.report
  }

  /** Frames that were asked for again, since the link opened. */
  get numAskedAgain(): number {
    return this.#flow.numAskedAgain
  }

  get isIdle(): boolean {
    return this.#transfers.size === 0
  }

  /** Rejects with NoLanes when the sender speaks none, with what connecting failed with, or as KvTransport.pull does. */
  async pull(request: KvPullRequest, signal: AbortSignal): Promise<Uint8Array> {
    await unlessAborted((this.#greeting ??= this.#lanes.greet()), signal, request.kvAddress)
    if (signal.aborted || this.#hasFailed) throw linkFailed(request.kvAddress, signal.aborted ? 'the pull was given up' : 'the link was closed')
    const transfer = this.#begin(request)
    const onAbort = (): void => this.#end(transfer, linkFailed(request.kvAddress, 'the pull was given up'))
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await transfer.whole
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Ends every transfer with the error, and all lanes. */
  fail(error: RubatoError): void {
    this.#hasFailed = true
    this.#options.onFailed()
    this.#lanes.close()
    for (const transfer of this.#transfers.values()) this.#end(transfer, error)
    clearTimeout(this.#echoTimer)
  }

  #begin(request: KvPullRequest): IncomingTransfer {
    const { pool, idleTimeoutMs } = this.#options
    const numBytes = transferBytes(request)
    this.#lastTransferId = (this.#lastTransferId + 1) >>> 0
    const transferId = this.#lastTransferId
    const { token, requestId, epoch, modelFingerprint, numBlocks, blockBytes } = request
    const key = randomBytes(KEY_BYTES)
    const terms = PULL_METHOD.requestSerialize({ token, requestId, recovery: epoch.recovery, hop: epoch.hop, modelFingerprint, numBlocks, blockBytes, transferId })
    const opening = Buffer.concat([encodeLaneHeader('open', transferId, { key, payloadBytes: terms.byteLength }), terms])
    const transfer = new IncomingTransfer({ transferId, key, opening, bytes: pool.take(numBytes), request, idleTimeoutMs }, (error) => this.#end(transfer, error))
    this.#transfers.set(transferId, transfer)
    this.#flow.begin({ transferId, numBytes })
    this.#ask()
    return transfer
  }

  /** Over, whole or not. The sender is told, so that it lets go of the blocks. */
  #end(transfer: IncomingTransfer, error: RubatoError | null): void {
    const { transferId, key } = transfer
    if (!this.#transfers.delete(transferId)) return
    this.#flow.end(transferId)
    const end = encodeLaneHeader('end', transferId, { key, flag: error === null })
    this.#ends.set(transferId, end)
    this.#lanes.send(0, [end])
    transfer.settle(error)
    this.#ask()
  }

  /** Asks for what may be under way; on lane 0 each transfer is opened before on any other. What there is to say goes out at once. */
  #ask(): void {
    const nowMs = performance.now()
    const byLane = new Map<number, Uint8Array[]>()
    const say = (laneId: number, ...messages: readonly Uint8Array[]): void => void byLane.set(laneId, [...(byLane.get(laneId) ?? []), ...messages])
    for (const transfer of this.#transfers.values()) if (this.#isMessageLaneOpen && transfer.opensOn(0)) say(0, transfer.opening)
    if (this.#isEchoDue(nowMs)) {
      this.#echoAskedMs = nowMs
      say(0, encodeLaneHeader('echo', 0))
    }
    for (const want of this.#flow.wants(nowMs)) {
      const transfer = this.#transfers.get(want.transferId)!
      if (transfer.opensOn(want.laneId)) say(want.laneId, transfer.opening)
      say(want.laneId, wantMessage(transfer, want))
    }
    for (const [laneId, messages] of byLane) this.#lanes.send(laneId, messages)
    if (!this.isIdle || this.#ends.size > 0) this.#lanes.ensure(this.#control.numLanes)
  }

  #opened(laneId: number, roundTripMs: number): void {
    this.#flow.laneOpened(laneId)
    if (laneId === 0) {
      this.#isMessageLaneOpen = true
      if (this.kind === 'unix') this.#control.useLocal()
      this.#control.echoed(roundTripMs, performance.now())
      this.#lanes.send(0, [...this.#ends.values()])
    }
    this.#ask()
  }

  #lost(laneId: number): void {
    this.#flow.laneLost(laneId)
    for (const transfer of this.#transfers.values()) transfer.laneLost(laneId)
    if (laneId === 0) {
      this.#isMessageLaneOpen = false
      this.#echoAskedMs = null
      // Whoever listens there next may be another process: the next pull finds out.
      if (this.isIdle && this.#ends.size === 0) return this.fail(linkFailed(this.#options.kvAddress, 'its lanes were lost'))
    }
    this.#ask()
  }

  /** Where a payload goes: a raw frame that is awaited right to its place, everything else to memory of its own. */
  #placeFor(laneId: number, { kind, transferId, firstByte, numBytes, encoding, payloadBytes }: LaneHeader): Uint8Array {
    if (kind !== 'frame' || numBytes > MAX_FRAME_BYTES || payloadBytes > mostEncodedBytes(numBytes)) throw new Error(`a sender sent '${kind}' of ${payloadBytes} bytes`)
    const want = this.#flow.expected(transferId, firstByte)
    if (want === undefined || encoding !== 'raw') return new Uint8Array(payloadBytes)
    if (want.laneId !== laneId || want.numBytes !== numBytes || payloadBytes !== numBytes || want.encoding !== encoding) throw new Error('a frame came that nobody asked for')
    return this.#transfers.get(transferId)!.bytes.subarray(firstByte, firstByte + numBytes)
  }

  /** Throws when the message is none that a sender sends. */
  #take(laneId: number, header: LaneHeader, payload: Uint8Array, isSummed: boolean): void {
    const { kind, transferId, flag } = header
    const { kvAddress } = this.#options
    const transfer = this.#transfers.get(transferId)
    if (kind === 'frame') return this.#takeFrame(laneId, header, payload, isSummed)
    if (kind === 'echo') return this.#echoed()
    if (kind === 'end') return void this.#ends.delete(transferId)
    if (kind === 'broken') return transfer && this.#end(transfer, linkFailed(kvAddress, 'the transfer was broken off'))
    if (kind !== 'refused') throw new Error(`a sender sent '${kind}'`)
    const reason = flag ? 'what is asked for is not what is offered' : 'this token opens nothing'
    if (transfer !== undefined) this.#end(transfer, new RubatoError('kv_refused', `${kvAddress} refused the pull: ${reason}`, { retryable: true }))
  }

  #takeFrame(laneId: number, header: LaneHeader, payload: Uint8Array, isSummed: boolean): void {
    const { transferId, firstByte, numBytes, encoding, checksum } = header
    const transfer = this.#transfers.get(transferId)
    const want = this.#flow.expected(transferId, firstByte)
    if (transfer === undefined || want === undefined) return
    if (want.laneId !== laneId || want.numBytes !== numBytes || want.encoding !== encoding) throw new Error('a frame came that nobody asked for')
    this.#lanes.worked(laneId)
    for (const each of this.#transfers.values()) each.touch()
    if (isSummed && crc32(payload) !== checksum) return this.#spoiled(transfer, firstByte)
    if (encoding === 'raw') return this.#arrived(transfer, header)
    decodePayload(payload, encoding, transfer.bytes.subarray(firstByte, firstByte + numBytes)).then(
      () => this.#arrived(transfer, header),
      () => this.#spoiled(transfer, firstByte),
    )
  }

  #arrived(transfer: IncomingTransfer, { transferId, firstByte, payloadBytes, encodeMicros }: LaneHeader): void {
    const isWhole = this.#flow.received({ transferId, firstByte, wireBytes: payloadBytes, encodeMs: encodeMicros / 1000 }, performance.now())
    if (isWhole) this.#end(transfer, null)
    else this.#ask()
  }

  #spoiled(transfer: IncomingTransfer, firstByte: number): void {
    this.#flow.spoiled(transfer.transferId, firstByte)
    const error = transfer.spoiled()
    if (error === null) this.#ask()
    else this.#end(transfer, error)
  }

  /** Echoes keep measuring the round trip while there are transfers; over a socket of this machine there is nothing to measure. */
  #isEchoDue(nowMs: number): boolean {
    return this.#isMessageLaneOpen && this.kind === 'tcp' && !this.isIdle && this.#echoAskedMs === null && nowMs >= this.#nextEchoMs
  }

  #echoed(): void {
    if (this.#echoAskedMs === null) return
    const nowMs = performance.now()
    this.#control.echoed(nowMs - this.#echoAskedMs, nowMs)
    this.#echoAskedMs = null
    this.#nextEchoMs = nowMs + ECHO_EVERY_MS
    clearTimeout(this.#echoTimer)
    // A timer may fire a little early.
    if (!this.isIdle) this.#echoTimer = setTimeout(() => this.#ask(), ECHO_EVERY_MS + 1)
  }
}

function wantMessage({ key }: IncomingTransfer, { transferId, firstByte, numBytes, encoding }: Want): Uint8Array {
  return encodeLaneHeader('want', transferId, { key, firstByte, numBytes, encoding })
}
