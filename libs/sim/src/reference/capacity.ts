// The search that both papers' planners share: the highest rate at which a trial still passes.

export interface CapacitySearch {
  /** The first trial is half way between 0 and this. Highest value that can be found: one tolerance below it. */
  readonly maxRate: number
  /** Ends once the bracket is this narrow. */
  readonly tolerance: number
}

/** DistServe's own: 5 requests per second and GPU at most, to 0.25 (`simdistserve`, its defaults). */
export const DISTSERVE_SEARCH: CapacitySearch = { maxRate: 5, tolerance: 0.25 }

/**
 * The highest rate that passed, by bisection from 0; 0 when none did. `passes` must be pure, and should hold below some
 * rate and fail above it. Takes log2(maxRate / tolerance) trials, rounded up.
 */
export function bisectCapacity(passes: (rate: number) => boolean, { maxRate, tolerance }: CapacitySearch): number {
  let low = 0
  let high = maxRate
  while (high - low > tolerance) {
    const rate = (low + high) / 2
    if (passes(rate)) low = rate
    else high = rate
  }
  return low
}
