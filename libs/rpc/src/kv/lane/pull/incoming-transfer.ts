// A transfer as its receiver keeps it: where its bytes go, and every way it can end.
import { RubatoError } from '@rubato/config'
import { IdleTimer } from '../../idle-timer.ts'
import type { KvPullRequest } from '../../kv-transport.ts'

/** Frames of one transfer that came wrong, at most. */
const MAX_SPOILED = 16

export function linkFailed(kvAddress: string, reason: string, cause?: unknown): RubatoError {
  return new RubatoError('kv_link_failed', `the KV link to ${kvAddress} failed: ${reason}`, { retryable: true, ...(cause === undefined || cause === null ? {} : { cause }) })
}

export interface IncomingOptions {
  readonly transferId: number
  readonly key: Uint8Array
  readonly bytes: Uint8Array
  readonly request: KvPullRequest
  readonly idleTimeoutMs: number
}

export class IncomingTransfer {
  readonly transferId: number
  readonly key: Uint8Array
  readonly bytes: Uint8Array
  readonly request: KvPullRequest
  /** Resolves with all bytes, rejects as KvTransport.pull does. */
  readonly whole: Promise<Uint8Array>
  readonly #resolve: (bytes: Uint8Array) => void
  readonly #reject: (error: RubatoError) => void
  readonly #idle: IdleTimer
  #numSpoiled = 0

  /** `onIdle`: no frame came for too long. */
  constructor({ transferId, key, bytes, request, idleTimeoutMs }: IncomingOptions, onIdle: (error: RubatoError) => void) {
    this.transferId = transferId
    this.key = key
    this.bytes = bytes
    this.request = request
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    this.whole = promise
    this.#resolve = resolve
    this.#reject = reject
    this.#idle = new IdleTimer(idleTimeoutMs, () => onIdle(linkFailed(request.kvAddress, `no frame came for ${idleTimeoutMs} ms`)))
  }

  /** Something came over the link. */
  touch(): void {
    this.#idle.touch()
  }

  /** A frame came wrong; the error when that was one too many. */
  spoiled(): RubatoError | null {
    this.#numSpoiled++
    if (this.#numSpoiled <= MAX_SPOILED) return null
    return new RubatoError('kv_corrupt', `pulled KV blocks are unusable: ${this.#numSpoiled} frames came wrong`, { retryable: true })
  }

  /** All bytes came, or the error ends it. */
  settle(error: RubatoError | null): void {
    this.#idle.stop()
    if (error === null) this.#resolve(this.bytes)
    else this.#reject(error)
  }
}
