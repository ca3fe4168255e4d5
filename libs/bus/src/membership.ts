// Who is in the cluster: every process holds a lease on its name, and everybody hears who came and who is gone.
// Rules and times: lease/lease-rules.ts. Implemented over NATS JetStream KV (nats/lease).
//
// 1. A name has one holder at a time. Each stay under it has its own address, never used again.
// 2. A member is told gone once per stay: when its lease was given back, or expired while this observer was connected.
// 3. While the bus is down nobody is told gone.
import type { Address } from '@rubato/actor'

export type MemberKind = 'router' | 'instance' | 'speculator'

export interface Member {
  readonly kind: MemberKind
  /** Chosen by the operator (`--instance-id`), unique within kind and cluster. */
  readonly name: string
  /** Where this stay's actor receives. */
  readonly address: Address
  /** Instances only serve, and routers only dispatch to, what has the same protocol major. */
  readonly protocol: string
  /** null for all but instances. */
  readonly modelFingerprint: string | null
  /** `host:port` of a service that other members connect to by themselves. @default there is none */
  readonly endpoint?: string
}

export type MemberEvent =
  | { readonly kind: 'joined'; readonly member: Member }
  | { readonly kind: 'gone'; readonly member: Member; readonly reason: 'released' | 'expired' | 'replaced' }

export interface Lease {
  /**
   * Resolves when the lease cannot be trusted any more: lost to another holder, or not renewed in time while connected. The
   * holder must stop acting under it; to go on it joins again with a new address. Also resolves after release().
   */
  readonly lost: Promise<'released' | 'fenced'>
  /** Gives the name back at once. Idempotent; resolves also when the bus is down. */
  release(): Promise<void>
}

export interface Membership {
  /**
   * Takes the name. Waits for an expiring lease of a former holder, then rejects with RubatoError `already_exists` when the
   * name is still in use, `protocol_mismatch` when the cluster speaks another major, or `nats_unavailable` (retryable) when the
   * broker does not answer. Register the address on the bus first: who hears of a member may send to it at once.
   */
  join(member: Member): Promise<Lease>
  /** Tells the members there are, then every change. Returns its end. */
  watch(listener: (event: MemberEvent) => void): () => void
  close(): Promise<void>
}
