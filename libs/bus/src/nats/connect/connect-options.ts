// What a process says to reach its cluster.
import type { BusProblem } from '../nats-bus.ts'
import type { LeaseTimes } from '../../lease/lease-rules.ts'

export type NatsCredentials =
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | { readonly kind: 'token'; readonly token: string }
  /** Content of a .creds file. */
  | { readonly kind: 'creds'; readonly content: string }
  /** `SU...` */
  | { readonly kind: 'nkey'; readonly seed: string }

/** Contents, PEM. */
export interface NatsTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export type NatsLog = (level: 'info' | 'warn' | 'error', message: string, fields: Readonly<Record<string, unknown>>) => void

export interface ConnectNatsOptions {
  /** `nats://host:port`, `tls://host:port`, or `host:port`. */
  readonly servers: readonly string[]
  /** Letters, digits, - and _: clusters on one server do not hear each other. */
  readonly cluster: string
  /** Of this process, as the server shows it to its operator. */
  readonly name: string
  /** @default those in the URL, or none */
  readonly credentials?: NatsCredentials | null
  /** @default without, unless a URL is tls:// */
  readonly tls?: NatsTls | null
  readonly log?: NatsLog
  readonly onProblem?: (problem: BusProblem) => void
  /** Bounds the first connect to each address of a server. @default 5000 */
  readonly connectTimeoutMs?: number
  /** @default LEASE_TIMES */
  readonly leaseTimes?: LeaseTimes
  /** Monotonic milliseconds. @default performance.now */
  readonly now?: () => number
}
