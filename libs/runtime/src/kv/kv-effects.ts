// The `kv-serve` and `kv-pull` effects over a KV transport and a live engine.
//
// 1. Blocks are read by the engine between its steps: before the step that follows their offer, so that they travel while it
//    computes; beyond READ_AHEAD_BYTES of blocks that nobody pulled yet, when their pull begins.
// 2. A cancelled `kv-serve` withdraws its token before cancel returns.
// 3. Pulled bytes are staging only: the actor has them installed by a command of its own.
import type { EffectTable } from '@rubato/actor'
import { RubatoError } from '@rubato/config'
import type { KvPulled, KvPullEffect, KvServeEffect } from '@rubato/instance'
import type { Engine } from '@rubato/model'
import type { KvTransport } from '@rubato/rpc'
import { asyncPort } from '../async-port.ts'

export interface KvEffectLimits {
  /** Offers that nobody pulled yet, and transfers being sent. @default 512 */
  readonly serve?: number
  /** Pulls under way, each with a buffer of its blocks. @default 32 */
  readonly pull?: number
  /** Bytes of blocks that are read before somebody pulls them, and being sent. @default 64 MiB */
  readonly readAheadBytes?: number
}

export interface KvEffectsOptions {
  readonly transport: KvTransport
  readonly engine: Pick<Engine, 'execute' | 'shape'>
  readonly limits?: KvEffectLimits
}

const SERVE_LIMIT = 512
const PULL_LIMIT = 32
const READ_AHEAD_BYTES = 64 << 20

async function exportBlocks(engine: KvEffectsOptions['engine'], blockIds: readonly number[]): Promise<Uint8Array> {
  const result = await engine.execute({ kind: 'export-blocks', blockIds })
  if (result.kind !== 'export-blocks') throw new RubatoError('internal', `the engine answered export-blocks with ${result.kind}`)
  return result.bytes
}

/** Reads blocks for offers, at once as long as not too many of them wait. */
class BlockReader {
  readonly #engine: KvEffectsOptions['engine']
  readonly #limitBytes: number
  #heldBytes = 0

  constructor(engine: KvEffectsOptions['engine'], limitBytes: number) {
    this.#engine = engine
    this.#limitBytes = limitBytes
  }

  /** Runs `offer` with the blocks' reader; what was read ahead counts until it has settled. */
  async during(blockIds: readonly number[], offer: (read: () => Promise<Uint8Array>) => Promise<void>): Promise<void> {
    const numBytes = blockIds.length * this.#engine.shape.blockBytes
    if (this.#heldBytes + numBytes > this.#limitBytes) return offer(() => exportBlocks(this.#engine, blockIds))
    const bytes = exportBlocks(this.#engine, blockIds)
    // Whoever pulls hears of it.
    bytes.catch(() => {})
    this.#heldBytes += numBytes
    try {
      await offer(() => bytes)
    } finally {
      this.#heldBytes -= numBytes
    }
  }
}

/**
 * The ports of kinds `kv-serve` and `kv-pull`. They fail with the transport's codes: `kv_not_pulled`; `kv_refused`,
 * `kv_corrupt`, `kv_link_failed`.
 */
export function kvEffects({ transport, engine, limits = {} }: KvEffectsOptions): EffectTable {
  const { modelFingerprint, blockBytes } = engine.shape
  const reader = new BlockReader(engine, limits.readAheadBytes ?? READ_AHEAD_BYTES)
  const serve = asyncPort<KvServeEffect>({
    limit: limits.serve ?? SERVE_LIMIT,
    perform: ({ token, requestId, epoch, blockIds, trace = null }, signal) =>
      reader.during(blockIds, (read) => transport.offer({ token, requestId, epoch, numBlocks: blockIds.length, blockBytes, modelFingerprint, trace, read }, signal)),
  })
  const pull = asyncPort<KvPullEffect>({
    limit: limits.pull ?? PULL_LIMIT,
    perform: ({ kvAddress, token, requestId, epoch, numBlocks, trace = null }, signal): Promise<KvPulled> =>
      transport.pull({ kvAddress, token, requestId, epoch, numBlocks, blockBytes, modelFingerprint, trace }, signal),
  })
  return { 'kv-serve': serve, 'kv-pull': pull }
}
