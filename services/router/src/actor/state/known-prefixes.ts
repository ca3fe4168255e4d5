// Prefix overlap per model: which instances were sent which prompts. Bounded; an estimate that is never relied on.
import { PrefixMap } from '@rubato/policy'

/** About 100 bytes each. */
const MAX_CHUNKS = 65_536
const NONE: ReadonlyMap<string, number> = new Map()

export class KnownPrefixes {
  readonly #byFingerprint = new Map<string, PrefixMap>()

  /** An instance of the model will hold this prompt. chunkTokens: its cell size, because prefix hits round down to cells. */
  record(fingerprint: string, chunkTokens: number, held: { readonly instanceId: string; readonly tokenIds: readonly number[]; readonly cacheSalt: string }): void {
    let prefixes = this.#byFingerprint.get(fingerprint)
    if (prefixes === undefined) {
      prefixes = new PrefixMap({ chunkTokens, maxEntries: MAX_CHUNKS })
      this.#byFingerprint.set(fingerprint, prefixes)
    }
    prefixes.record(held.instanceId, held.tokenIds, held.cacheSalt)
  }

  /** Leading tokens that each instance probably holds; absent: none. O(tokens). */
  overlap(fingerprint: string, tokenIds: readonly number[], cacheSalt: string): ReadonlyMap<string, number> {
    return this.#byFingerprint.get(fingerprint)?.overlap(tokenIds, cacheSalt) ?? NONE
  }

  forget(instanceId: string): void {
    for (const prefixes of this.#byFingerprint.values()) prefixes.forget(instanceId)
  }
}
