// A histogram as Prometheus wants it: fixed upper bounds, counts per bucket, sum. Observing allocates nothing.

/** Upper bounds of the buckets, rising; observations past the last fall into the implicit +Inf bucket. */
export type Buckets = readonly number[]

/** vLLM's bounds for time to first token, seconds, with finer ones below for small models. */
export const TTFT_SECONDS: Buckets = [
  0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
]
export const TOKEN_GAP_SECONDS: Buckets = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
]
export const REQUEST_SECONDS: Buckets = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
]
export const TOKENS: Buckets = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000]
export const STEP_TOKENS: Buckets = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384]

export interface HistogramSnapshot {
  readonly buckets: Buckets
  /** One more than buckets; not cumulative. */
  readonly counts: readonly number[]
  readonly sum: number
}

export class Histogram {
  readonly #buckets: Buckets
  readonly #counts: Float64Array
  #sum = 0

  constructor(buckets: Buckets) {
    this.#buckets = buckets
    this.#counts = new Float64Array(buckets.length + 1)
  }

  /** Counts `value` `times` times: a step of k tokens is k observations of its gap / k. */
  observe(value: number, times = 1): void {
    let low = 0
    let high = this.#buckets.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#buckets[middle]! < value) low = middle + 1
      else high = middle
    }
    this.#counts[low]! += times
    this.#sum += value * times
  }

  snapshot(): HistogramSnapshot {
    return { buckets: this.#buckets, counts: [...this.#counts], sum: this.#sum }
  }
}
