// Names of KV block contents: a sha256 chain over (model fingerprint, encoding, cache salt, tokens).
import { createHash, hash } from 'node:crypto'
import type { HashBlock } from '@rubato/kv'

/** KV as the engine wrote it; lossy encodings will have roots of their own. */
const RAW_ENCODING = 'raw'

/** sha256 of the parent's name and the block's token ids as little-endian int32. */
export const sha256Block: HashBlock = (parent, tokenIds) => {
  const parentBytes = Buffer.byteLength(parent)
  const bytes = Buffer.allocUnsafe(parentBytes + 4 * tokenIds.length)
  bytes.write(parent)
  for (let i = 0; i < tokenIds.length; i++) bytes.writeInt32LE(tokenIds[i]!, parentBytes + 4 * i)
  return hash('sha256', bytes, 'base64url')
}

/** Root of the chains of one model and salt: without the salt, nobody can probe what others have cached. */
export function blockRoot(modelFingerprint: string, cacheSalt: string): string {
  return createHash('sha256').update(JSON.stringify([modelFingerprint, RAW_ENCODING, cacheSalt])).digest('base64url')
}
