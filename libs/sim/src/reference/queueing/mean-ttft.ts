// Mean TTFT of a prefill instance as an M/D/1 queue: Poisson arrivals, every prompt takes as long (DistServe §3.1). Why
// tensor parallelism wins at low rates and pipeline parallelism at high ones.

export interface ConstantLoad {
  /** Time of one prompt on one device. */
  readonly serviceMs: number
  readonly ratePerMs: number
}

/** One device. Holds below a utilisation (rate times service) of 1. */
export function plainMeanTtftMs({ serviceMs, ratePerMs }: ConstantLoad): number {
  return serviceMs + (ratePerMs * serviceMs ** 2) / (2 * (1 - ratePerMs * serviceMs))
}

/** Two pipeline stages of half the time each. Holds below a utilisation of 2. */
export function pipelinedMeanTtftMs({ serviceMs, ratePerMs }: ConstantLoad): number {
  return serviceMs + (ratePerMs * serviceMs ** 2) / (4 * (2 - ratePerMs * serviceMs))
}

/** Two devices that work on every prompt together, `speedUp` (1 to 2) times as fast. Holds below a utilisation of speedUp. */
export function tensorParallelMeanTtftMs({ serviceMs, ratePerMs }: ConstantLoad, speedUp: number): number {
  return serviceMs / speedUp + (ratePerMs * serviceMs ** 2) / (2 * speedUp * (speedUp - ratePerMs * serviceMs))
}
