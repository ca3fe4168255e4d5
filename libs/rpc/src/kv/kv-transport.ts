// How KV blocks travel between instances. The receiver pulls; what it may pull, and how often, is the sender's to say.
// Over the network by lanes or gRPC, within a process by handing the bytes over: all behind this interface.
//
// 1. A token opens one transfer, once. It is withdrawn when the offer's signal aborts or its time is over.
// 2. A pull resolves only with complete, checked bytes: every frame's coordinates, epoch and checksum agreed.
import type { TransferTrace } from './kv-events.ts'
import type { LinkReport } from '@rubato/policy'

/** As instances fence with it; compared lexicographically. */
export interface Epoch {
  readonly recovery: number
  readonly hop: number
}

/** What both ends must agree on. */
interface KvTransferTerms {
  readonly token: string
  readonly requestId: string
  readonly epoch: Epoch
  readonly numBlocks: number
  readonly blockBytes: number
  readonly modelFingerprint: string
  /** @default the request is not traced */
  readonly trace?: TransferTrace | null
}

export interface KvOffer extends KvTransferTerms {
  /** Reads the blocks' contents when the pull begins: numBlocks * blockBytes. */
  readonly read: () => Promise<Uint8Array>
}

export interface KvPullRequest extends KvTransferTerms {
  /** `host:port` of the sender. */
  readonly kvAddress: string
}

export interface KvPullResult {
  /** Nobody else's; may be shared memory, which other threads read without a copy. */
  readonly bytes: Uint8Array
  readonly transferMs: number
  /** Estimate for this peer over recent pulls. */
  readonly bytesPerSec: number
}

/** What pulls from one peer go over. */
export type LinkKind = 'memory' | 'unix' | 'tcp' | 'grpc'

/** A link as the receiver knows it; counts are since the transport started. */
export interface KvLinkState {
  readonly kvAddress: string
  readonly kind: LinkKind
  readonly numPulled: number
  readonly numFailed: number
  readonly pulledBytes: number
  /** Frames asked for a second time: spoiled, or lost with their connection. */
  readonly numFramesAgain: number
  /** null: nothing measures it. */
  readonly report: LinkReport | null
}

export interface KvTransport {
  /** `host:port` that peers reach this one at. */
  readonly kvAddress: string
  /**
   * Resolves when the transfer was sent whole. Rejects with RubatoError `kv_not_pulled` (retryable) when it broke off, nobody
   * came, or the signal aborted. The token opens nothing from the abort on, synchronously.
   */
  offer(offer: KvOffer, signal: AbortSignal): Promise<void>
  /**
   * Rejects with RubatoError: `kv_refused` (unknown token, other model), `kv_corrupt`, `kv_link_failed` (also when the signal
   * aborted), each retryable under a new token.
   */
  pull(request: KvPullRequest, signal: AbortSignal): Promise<KvPullResult>
  /** The bytes of a pull are nobody's any more: their memory may be used again. Bytes of others are left alone. */
  recycle(bytes: Uint8Array): void
  /** Links that were pulled from lately, at most 256. */
  links(): readonly KvLinkState[]
  /** Ends every transfer. Idempotent. */
  close(): Promise<void>
}
