// Counter-based Gumbel noise: the value for (seed, sequence, position, token id) depends on nothing else, so that a token
// is the same whatever the batch, the order or the speculation around it (speculation is then lossless by construction).
//
// 1. The 64-bit key of a position is prepared once per token; absorbing a word is a bijection, so keys that differ in one
//    component never collide. The part per token id is three multiplies.
// 2. 24 random bits per value: the noise lies in [GUMBEL_MIN, GUMBEL_MAX], which is what makes exact pruning possible.

const NUM_NOISE_BITS = 24
const NUM_NOISE_VALUES = 2 ** NUM_NOISE_BITS
const NUM_ROUNDS = 3

/** Gumbel value of the 24 noise bits: -log(-log u) with u = (bits + 0.5) / 2^24. */
export function gumbelOf(bits: number): number {
  return -Math.log(-Math.log((bits + 0.5) / NUM_NOISE_VALUES))
}

/** Least noise there is, about -2.85. */
export const GUMBEL_MIN: number = gumbelOf(0)
/** Greatest noise there is, about 17.33. */
export const GUMBEL_MAX: number = gumbelOf(NUM_NOISE_VALUES - 1)

/** A bijection of 32-bit integers with good avalanche (lowbias32). */
function mix(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x7feb352d)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b)
  return mixed ^ (mixed >>> 16)
}

/** The mixed 32-bit word of a token id under a position's key, short of its last step: for a given key, bijective in the id. */
function noiseWord(tokenId: number, keyA: number, keyB: number): number {
  let mixed = Math.imul(tokenId, 0x9e3779b1) ^ keyA
  mixed = (Math.imul(mixed ^ (mixed >>> 16), 0x7feb352d) + keyB) | 0
  return Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b)
}

/** The 24 noise bits of a token id under a position's key. */
export function noiseBits(tokenId: number, keyA: number, keyB: number): number {
  const word = noiseWord(tokenId, keyA, keyB)
  return (word ^ (word >>> 16)) >>> 8
}

/**
 * First token id in [start, end) whose noise bits may exceed `bits` (-1 .. 2^24 - 1); `end` when there is none. The last
 * step leaves a word's upper half as it is, so this looks at nothing else: of 65,536 ids it finds one too many.
 */
export function nextNoisy(start: number, end: number, { keyA, keyB }: SequenceNoise, bits: number): number {
  const leastWord = (((bits + 1) >>> 8) << 16) >>> 0
  for (let tokenId = start; tokenId < end; tokenId++) {
    if (noiseWord(tokenId, keyA, keyB) >>> 0 >= leastWord) return tokenId
  }
  return end
}

/** The noise keys of one sequence: `moveTo` a position, then take its two key words. */
export class SequenceNoise {
  readonly #baseA: number
  readonly #baseB: number
  #a = 0
  #b = 0

  /** `seed` is a safe integer >= 0 (all 53 bits count), `sequence` the index of the choice. */
  constructor(seed: number, sequence: number) {
    this.#a = 0x243f6a88
    this.#b = 0x85a308d3
    this.#absorb(seed >>> 0)
    this.#absorb(Math.floor(seed / 4294967296))
    this.#absorb(sequence)
    this.#baseA = this.#a
    this.#baseB = this.#b
  }

  /** Prepares the noise of one absolute position: prompt length + number of tokens emitted before the drawn one. */
  moveTo(position: number): void {
    this.#a = this.#baseA
    this.#b = this.#baseB
    this.#absorb(position)
  }

  /** First word of the current position's key. */
  get keyA(): number {
    return this.#a
  }

  /** Second word of the current position's key. */
  get keyB(): number {
    return this.#b
  }

  #absorb(word: number): void {
    let a = this.#a ^ word
    let b = this.#b
    for (let round = 1; round <= NUM_ROUNDS; round++) {
      a = mix((a + Math.imul(round, 0x9e3779b9)) | 0)
      b = mix(b ^ a)
      a = (a + b) | 0
    }
    this.#a = a
    this.#b = b
  }
}
