// Rendezvous hashing of (request, instance): routers with one view spread equal choices without randomness.

/** FNV-1a with a final mix, 32 bits, not negative. */
export function pairHash(requestId: string, instanceId: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < requestId.length; index += 1) hash = Math.imul(hash ^ requestId.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ 10, 0x01000193)
  for (let index = 0; index < instanceId.length; index += 1) hash = Math.imul(hash ^ instanceId.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}

/** The item whose key hashes lowest with the request; equal hashes fall by the key itself. Throws RangeError for no items. */
export function pickByHash<T>(items: readonly T[], requestId: string, keyOf: (item: T) => string): T {
  let best = items[0]
  if (best === undefined) throw new RangeError('nothing to pick from')
  if (items.length === 1) return best
  let bestKey = keyOf(best)
  let bestHash = pairHash(requestId, bestKey)
  for (let index = 1; index < items.length; index += 1) {
    const key = keyOf(items[index]!)
    const hash = pairHash(requestId, key)
    if (hash > bestHash || (hash === bestHash && key >= bestKey)) continue
    best = items[index]!
    bestKey = key
    bestHash = hash
  }
  return best
}
