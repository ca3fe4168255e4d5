// The search for the highest rate that still passes: a generator of rates, told whether each passed. It knows no simulator.
//
//   bracket: from the start rate, doubled while it passes or halved while it fails
//   bisect:  until the bracket is narrower than the granularity asks for
//
// Sarathi-Serve (OSDI'24) §5.1 searches the same way; it grows the bracket by up to four times where a trial passed easily.

export interface CapacitySearch {
  /** Requests per second of the first trial. */
  readonly startRatePerSec: number
  /** Width of the last bracket, as a share of the rate that passed. */
  readonly granularity: number
}

/** A rate this far below the start that still fails is called none. */
const MAX_HALVINGS = 10
const MAX_DOUBLINGS = 20

/** Four digits: reports name rates, and a trial can be repeated by its rate. */
function rounded(ratePerSec: number): number {
  return Number(ratePerSec.toPrecision(4))
}

/** Yields the rate of the next trial, takes whether it passed, returns the highest that did; 0: none. Passing should hold below some rate and fail above it. */
export function* findCapacity({ startRatePerSec, granularity }: CapacitySearch): Generator<number, number, boolean> {
  let rate = rounded(startRatePerSec)
  let passed = 0
  let failed = Infinity
  for (let steps = 0; passed === 0 || failed === Infinity; steps++) {
    if (yield rate) {
      passed = rate
      if (steps === MAX_DOUBLINGS) return passed
      rate = rounded(rate * 2)
    } else {
      failed = rate
      if (steps === MAX_HALVINGS && passed === 0) return 0
      rate = rounded(rate / 2)
    }
  }
  while (failed - passed > granularity * passed) {
    rate = rounded((passed + failed) / 2)
    if (rate === passed || rate === failed) break
    if (yield rate) passed = rate
    else failed = rate
  }
  return passed
}
