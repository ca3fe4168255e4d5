// What a KV transport tells its process about, for logs and metrics. Never tokens, never contents.

import type { LinkKind } from './kv-transport.ts'

/** The request's span, so that logs name it. */
export interface TransferTrace {
  readonly traceId: string
  readonly spanId: string
}

interface Transfer {
  readonly requestId: string
  /** null: the request is not traced. */
  readonly trace: TransferTrace | null
  readonly peer: string
}

export type KvTransferEvent =
  | (Transfer & { readonly kind: 'sent'; readonly numBytes: number; readonly transferMs: number })
  | (Transfer & { readonly kind: 'send-broken'; readonly reason: string })
  /** Somebody asked with a token that opens nothing, or for something else than it opens. */
  | { readonly kind: 'send-refused'; readonly peer: string; readonly reason: 'unknown' | 'mismatch' }
  | (Transfer & { readonly kind: 'pulled'; readonly over: LinkKind; readonly numBytes: number; readonly transferMs: number })
  | (Transfer & { readonly kind: 'pull-failed'; readonly code: string; readonly message: string })

export type OnKvTransfer = (event: KvTransferEvent) => void
