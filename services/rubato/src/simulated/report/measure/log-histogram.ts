// Counts of values in buckets that grow by one percent each: millions of gaps between tokens in constant memory.

/** Bucket i holds [LEAST_MS * GROWTH^i, LEAST_MS * GROWTH^(i+1)). */
const GROWTH = 1.01
const LOG_GROWTH = Math.log(GROWTH)
const LEAST_MS = 1e-3
/** Up to about eleven days. */
const NUM_BUCKETS = Math.ceil(Math.log(1e9 / LEAST_MS) / LOG_GROWTH)

export interface CdfPoint {
  readonly ms: number
  /** Share of values that are not above it. */
  readonly ratio: number
}

export class LogHistogram {
  readonly #counts = new Float64Array(NUM_BUCKETS)
  /** Values below LEAST_MS: tokens that came together. */
  #numZero = 0
  #count = 0
  #sumMs = 0

  get count(): number {
    return this.#count
  }

  /** null of nothing. */
  get meanMs(): number | null {
    return this.#count === 0 ? null : this.#sumMs / this.#count
  }

  /** Adds a value `times` times. */
  add(ms: number, times = 1): void {
    this.#count += times
    this.#sumMs += ms * times
    if (ms < LEAST_MS) this.#numZero += times
    else this.#counts[Math.min(NUM_BUCKETS - 1, Math.floor(Math.log(ms / LEAST_MS) / LOG_GROWTH))]! += times
  }

  /** How many values lie above this one, to within one percent of it. */
  numAbove(ms: number): number {
    let above = 0
    for (let bucket = Math.max(0, Math.ceil(Math.log(ms / LEAST_MS) / LOG_GROWTH)); bucket < NUM_BUCKETS; bucket++) above += this.#counts[bucket]!
    return above
  }

  /** The smallest bucket that `percent` of the values do not exceed, at its geometric middle: within half a percent. null of nothing. */
  percentile(percent: number): number | null {
    if (this.#count === 0) return null
    const wanted = (this.#count * percent) / 100
    let seen = this.#numZero
    if (seen >= wanted && seen > 0) return 0
    for (let bucket = 0; bucket < NUM_BUCKETS; bucket++) {
      seen += this.#counts[bucket]!
      if (seen >= wanted && this.#counts[bucket]! > 0) return middleMs(bucket)
    }
    return middleMs(NUM_BUCKETS - 1)
  }

  /** One point per bucket that holds something, from the smallest. */
  cdf(): CdfPoint[] {
    const points: CdfPoint[] = []
    let seen = this.#numZero
    if (seen > 0) points.push({ ms: 0, ratio: seen / this.#count })
    this.#counts.forEach((count, bucket) => {
      if (count === 0) return
      seen += count
      points.push({ ms: middleMs(bucket), ratio: seen / this.#count })
    })
    return points
  }
}

function middleMs(bucket: number): number {
  return LEAST_MS * GROWTH ** (bucket + 0.5)
}
