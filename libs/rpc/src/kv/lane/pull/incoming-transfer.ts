// A transfer as its receiver keeps it: where its bytes go, and every way it can end.
import { RubatoError } from '@rubato/config'
import { IdleTimer } from '../../idle-timer.ts'
import type { KvPullRequest } from '../../kv-transport.ts'

/** Frames of one transfer that came wrong, at most. */
const MAX_SPOILED = 16

export function linkFailed(kvAddress: string, reason: string, cause?: unknown): RubatoError {
  return new RubatoError('kv_link_failed', `the KV link to ${kvAddress} failed: ${reason}`, { retryable: true, ...(cause === undefined || cause === null ? {} : { cause }) })
}

/** The promise's outcome, or `kv_link_failed` as soon as the signal aborts. */
export function unlessAborted(promise: Promise<void>, signal: AbortSignal, kvAddress: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(linkFailed(kvAddress, 'the pull was given up'))
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

export interface IncomingOptions {
  readonly transferId: number
  readonly key: Uint8Array
  /** The message that opens it on a lane. */
  readonly opening: Uint8Array
  readonly bytes: Uint8Array
  readonly request: KvPullRequest
  readonly idleTimeoutMs: number
}

export class IncomingTransfer {
  readonly transferId: number
  readonly key: Uint8Array
  readonly opening: Uint8Array
  readonly bytes: Uint8Array
  /** Resolves with all bytes, rejects as KvTransport.pull does. */
  readonly whole: Promise<Uint8Array>
  readonly #resolve: (bytes: Uint8Array) => void
  readonly #reject: (error: RubatoError) => void
  readonly #idle: IdleTimer
  /** Lanes that it was opened on. */
  readonly #openOn = new Set<number>()
  #numSpoiled = 0

  /** `onIdle`: no frame came for too long. */
  constructor({ transferId, key, opening, bytes, request, idleTimeoutMs }: IncomingOptions, onIdle: (error: RubatoError) => void) {
    this.transferId = transferId
    this.key = key
    this.opening = opening
    this.bytes = bytes
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    this.whole = promise
    this.#resolve = resolve
    this.#reject = reject
    this.#idle = new IdleTimer(idleTimeoutMs, () => onIdle(linkFailed(request.kvAddress, `no frame came for ${idleTimeoutMs} ms`)))
  }

  /** Whether it has yet to be opened on the lane, which the caller does now. */
  opensOn(laneId: number): boolean {
    if (this.#openOn.has(laneId)) return false
    this.#openOn.add(laneId)
    return true
  }

  laneLost(laneId: number): void {
    this.#openOn.delete(laneId)
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
