// Names of KV blocks where nobody means harm: 64 bits without cryptography, as strings of four characters.
import type { HashBlock } from '@rubato/kv'
import { mixDigest } from '../synthetic/token-rule.ts'

/** A hash chain over token ids; `parent` is a root of any length or the hash before. */
export const simHashBlock: HashBlock = (parent, tokenIds) => {
  let low = 0x1b873593
  let high = 0x5bd1e995
  for (let place = 0; place < parent.length; place++) {
    const code = parent.charCodeAt(place)
    low = mixDigest(low, code)
    high = Math.imul(high ^ code, 0x01000193)
  }
  for (let place = 0; place < tokenIds.length; place++) {
    const tokenId = tokenIds[place]!
    low = mixDigest(low, tokenId)
    high = Math.imul(high ^ tokenId, 0x01000193)
  }
  high = mixDigest(high, low)
  return String.fromCharCode(low >>> 16, low & 0xffff, high >>> 16, high & 0xffff)
}
