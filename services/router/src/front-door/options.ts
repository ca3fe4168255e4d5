// What both front doors are given. They read no configuration, environment or file themselves.
import type { TlsFiles } from '@rubato/rpc'
import type { RouterPort } from '../client.ts'

/** Structured logger; a pino instance fits as it is. */
export interface FrontDoorLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface FrontDoorLimits {
  /** Largest request body (HTTP) or message (gRPC). @default 4 MiB */
  readonly maxRequestBytes: number
  /** Bytes queued for one client before its deltas are held back. @default 256 KiB */
  readonly maxBufferedBytes: number
  /** A client that takes nothing for this long, while something is queued for it, is cancelled. @default 30 s */
  readonly stallMs: number
  /** Prompts in one /v1/completions call. @default 256 */
  readonly maxPrompts: number
}

export const DEFAULT_LIMITS: FrontDoorLimits = { maxRequestBytes: 4 * 1024 * 1024, maxBufferedBytes: 256 * 1024, stallMs: 30_000, maxPrompts: 256 }

export interface FrontDoorOptions {
  readonly router: RouterPort
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** The flag that sets the port, for the message when it is taken. @default --port, --grpc-port */
  readonly portFlag?: string
  /** Bearer token that clients must present; null or absent: none. */
  readonly apiKey?: string | null
  readonly tls?: TlsFiles | null
  readonly limits?: Partial<FrontDoorLimits>
  readonly log: FrontDoorLog
}

export interface HttpFrontDoorOptions extends FrontDoorOptions {
  /** The body of /metrics, in Prometheus text format. */
  readonly metrics: () => string
  readonly version: string
}

export interface FrontDoor {
  readonly port: number
  /** Stops accepting and waits for running requests; after `deadlineMs` cancels what is left. Idempotent. */
  close(deadlineMs: number): Promise<void>
}
