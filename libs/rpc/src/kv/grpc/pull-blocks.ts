// The receiving end of a pull: one call, its frames checked as they come, and every way it can end.
import { Metadata, status } from '@grpc/grpc-js'
import type { Client, ServiceError } from '@grpc/grpc-js'
import { RubatoError } from '@rubato/config'
import { IdleTimer } from '../idle-timer.ts'
import { PULL_METHOD, frameBytes } from './kv-service.ts'
import type { KvPullRequest } from '../kv-transport.ts'
import type { BufferPool } from '../buffer-pool.ts'
import { FrameReceiver } from './frame-receiver.ts'

export interface PullOptions {
  readonly transferId: number
  /** Without a frame for this long the link counts as failed. */
  readonly idleTimeoutMs: number
  readonly pool: BufferPool
}

function linkFailed(kvAddress: string, reason: string, cause?: unknown): RubatoError {
  return new RubatoError('kv_link_failed', `the KV link to ${kvAddress} failed: ${reason}`, { retryable: true, ...(cause === undefined ? {} : { cause }) })
}

const REFUSED: ReadonlySet<status> = new Set([status.PERMISSION_DENIED, status.FAILED_PRECONDITION])

/** What the call's status says about the pull. */
function failureOf(kvAddress: string, error: ServiceError): RubatoError {
  if (REFUSED.has(error.code)) return new RubatoError('kv_refused', `${kvAddress} refused the pull: ${error.details}`, { retryable: true, cause: error })
  if (error.code === status.RESOURCE_EXHAUSTED) return new RubatoError('kv_corrupt', 'pulled KV blocks are unusable: a message is larger than any frame', { retryable: true, cause: error })
  return linkFailed(kvAddress, `${status[error.code]}: ${error.details}`, error)
}

/** Pulls over an open channel. Rejects as KvTransport.pull does; an aborted pull with `kv_link_failed` too. */
export function pullBlocks(client: Client, request: KvPullRequest, options: PullOptions, signal: AbortSignal): Promise<Uint8Array> {
  const { kvAddress, token, requestId, epoch, modelFingerprint, numBlocks, blockBytes } = request
  const { transferId, idleTimeoutMs, pool } = options
  const receiver = new FrameReceiver({ transferId, epoch, numBlocks, blockBytes }, pool)
  const message = { token, requestId, recovery: epoch.recovery, hop: epoch.hop, modelFingerprint, numBlocks, blockBytes, transferId }
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  const call = client.makeServerStreamRequest(PULL_METHOD.path, PULL_METHOD.requestSerialize, frameBytes, message, new Metadata())

  const settle = (error: RubatoError | null): void => {
    idle.stop()
    signal.removeEventListener('abort', onAbort)
    if (error !== null) return reject(error)
    try {
      resolve(receiver.finish())
    } catch (cause) {
      reject(cause as Error)
    }
  }
  /** Ends the call from this side; what it says afterwards changes nothing. */
  const giveUp = (error: RubatoError): void => {
    settle(error)
    call.cancel()
  }
  const onAbort = (): void => giveUp(linkFailed(kvAddress, 'the pull was given up'))
  const idle = new IdleTimer(idleTimeoutMs, () => giveUp(linkFailed(kvAddress, `no frame came for ${idleTimeoutMs} ms`)))
  signal.addEventListener('abort', onAbort, { once: true })
  call.on('data', (frame: Buffer) => {
    idle.touch()
    try {
      receiver.accept(frame)
    } catch (error) {
      giveUp(error as RubatoError)
    }
  })
  call.on('error', (error: ServiceError) => settle(failureOf(kvAddress, error)))
  call.on('end', () => settle(null))
  return promise
}
