// Seeded randomness for measurements that can be repeated.

export interface RandomSource {
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform integer in [0, bound). */
  int(bound: number): number
}

/** mulberry32: 32 bits of state, enough to draw workloads. */
export function randomSource(seed: number): RandomSource {
  let state = seed | 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return { next, int: (bound) => Math.floor(next() * bound) }
}
