// Pulls over gRPC: for senders that speak nothing else.
import { randomInt } from 'node:crypto'
import { credentials } from '@grpc/grpc-js'
import { RubatoError } from '@rubato/config'
import type { BufferPool } from '../buffer-pool.ts'
import type { KvTls } from '../kv-tls.ts'
import type { KvPullRequest } from '../kv-transport.ts'
import { FRAME_HEADER_BYTES } from './kv-frame.ts'
import { LinkPool } from './link-pool.ts'
import { pullBlocks } from './pull-blocks.ts'

export interface GrpcPullerOptions {
  readonly tls: KvTls | null
  readonly pool: BufferPool
  readonly idleTimeoutMs: number
}

/** Frames of a peer may be this large. */
export const MAX_FRAME_PAYLOAD_BYTES = 1 << 20
const CHANNEL_IDLE_CLOSE_MS = 60_000
const MAX_IDLE_CHANNELS = 32

export class GrpcPuller {
  readonly #options: GrpcPullerOptions
  readonly #links: LinkPool
  #nextTransferId = randomInt(2 ** 32)

  constructor(options: GrpcPullerOptions) {
    const { tls } = options
    this.#options = options
    this.#links = new LinkPool({
      credentials: tls === null ? credentials.createInsecure() : credentials.createSsl(tls.ca, tls.key, tls.cert),
      maxReceiveBytes: MAX_FRAME_PAYLOAD_BYTES + FRAME_HEADER_BYTES,
      idleCloseMs: CHANNEL_IDLE_CLOSE_MS,
      maxIdle: MAX_IDLE_CHANNELS,
    })
  }

  /** Rejects as KvTransport.pull does. */
  async pull(request: KvPullRequest, signal: AbortSignal): Promise<Uint8Array> {
    const { pool, idleTimeoutMs } = this.#options
    this.#nextTransferId = (this.#nextTransferId + 1) >>> 0
    const link = this.#links.acquire(request.kvAddress)
    let isAlive = true
    try {
      return await pullBlocks(link.client, request, { transferId: this.#nextTransferId, idleTimeoutMs, pool }, signal)
    } catch (error) {
      if (error instanceof RubatoError) isAlive = error.code === 'kv_refused' || signal.aborted
      throw error
    } finally {
      link.release(isAlive)
    }
  }

  /** Call once no pull is under way. */
  close(): void {
    this.#links.close()
  }
}
