// What the two processes of the benchmark say to each other over IPC.
import type { KvOffer } from '@rubato/rpc'

/** Offer this once. */
export type ToServing = Omit<KvOffer, 'read'>

export type FromServing =
  | { readonly kind: 'ready'; readonly kvAddress: string; readonly plainPort: number }
  | { readonly kind: 'offered'; readonly token: string }
  | { readonly kind: 'failed'; readonly token: string; readonly message: string }
