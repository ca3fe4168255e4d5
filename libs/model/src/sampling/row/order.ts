// The one order of tokens: larger logit first, and at equal logits the lower id. A token's place is a single number, so
// that selection needs no comparator.

const ID_SPAN = 2 ** 21
/** Largest vocabulary the order keys can tell apart. */
export const MAX_VOCAB_SIZE: number = ID_SPAN

const FLOAT_VIEW = new Float32Array(1)
const BITS_VIEW = new Int32Array(FLOAT_VIEW.buffer)

/** Order key of a token: greater is better. An exact integer below 2^53 in magnitude. */
export function orderKey(logit: number, tokenId: number): number {
  FLOAT_VIEW[0] = logit + 0 // -0 becomes +0, its equal
  const bits = BITS_VIEW[0]!
  return (bits < 0 ? bits ^ 0x7fffffff : bits) * ID_SPAN + (ID_SPAN - 1 - tokenId)
}

/** The logit an order key was made of. */
export function logitOfKey(key: number): number {
  const ordered = Math.floor(key / ID_SPAN)
  BITS_VIEW[0] = ordered < 0 ? ordered ^ 0x7fffffff : ordered
  return FLOAT_VIEW[0]!
}

/** The token id an order key was made of. */
export function tokenIdOfKey(key: number): number {
  return ID_SPAN - 1 - (key - Math.floor(key / ID_SPAN) * ID_SPAN)
}

/** The next greater float32 of a logit that is not NaN. */
export function nextAbove(logit: number): number {
  FLOAT_VIEW[0] = logit + 0 // from -0 it is one step up too, not a step to +0
  BITS_VIEW[0] = BITS_VIEW[0]! + (BITS_VIEW[0]! < 0 ? -1 : 1)
  return FLOAT_VIEW[0]!
}
