// Seeded randomness for tests. A failing test prints its seed; RUBATO_TEST_SEED replays it.

export interface SeededRandom {
  readonly seed: number
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform integer in [0, bound). */
  int(bound: number): number
  /** Standard normal. */
  normal(): number
  pick<T>(items: readonly T[]): T
}

/** mulberry32: 32 bits of state, good enough to draw test cases. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed | 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  const int = (bound: number): number => Math.floor(next() * bound)
  return {
    seed,
    next,
    int,
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    pick: (items) => {
      const item = items[int(items.length)]
      if (item === undefined) throw new Error('pick from an empty list')
      return item
    },
  }
}

/** The seed for a property test: RUBATO_TEST_SEED, else the given default. */
export function testSeed(fallback: number): number {
  const given = process.env['RUBATO_TEST_SEED']
  return given === undefined ? fallback : Number(given)
}
