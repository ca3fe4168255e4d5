/** Rows that a large matrix product computes at a time: 257 tokens cost what 384 do (Sarathi-Serve §4.3). */
const TILE_TOKENS = 128
/** Up to so many tokens kernels with smaller tiles are used. */
const SMALL_TOKENS = 64
const SMALL_TILE_TOKENS = 8

/** Tokens that a projection really computes. */
export function ceilToTile(tokens: number): number {
  const tile = tokens <= SMALL_TOKENS ? SMALL_TILE_TOKENS : TILE_TOKENS
  return Math.ceil(tokens / tile) * tile
}
