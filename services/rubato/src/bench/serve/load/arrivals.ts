// When each request of an open-loop run is sent, as `vllm bench serve` decides it: pure functions of a random stream.
import type { RandomStream } from '@rubato/sim'

export interface ArrivalProcess {
  readonly requestRatePerSec: number
  /** Gamma shape: 1 is Poisson, below 1 burstier, above 1 more even; Infinity is evenly spaced. */
  readonly burstiness: number
}

export function standardNormal(random: RandomStream): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
}

/** A draw from the gamma distribution with this shape and scale 1. Marsaglia and Tsang (2000); shapes below 1 by their boost. */
export function drawGamma(random: RandomStream, shape: number): number {
  if (shape < 1) return drawGamma(random, shape + 1) * (1 - random.next()) ** (1 / shape)
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const x = standardNormal(random)
    const v = (1 + c * x) ** 3
    if (v > 0 && Math.log(1 - random.next()) < 0.5 * x * x + d * (1 - v + Math.log(v))) return d * v
  }
}

/**
 * Arrival times in milliseconds from the start, ascending. The gaps are gamma-distributed and then stretched so that the last request arrives at
 * count / rate exactly: two seeds offer the same load.
 */
export function drawArrivalsMs(random: RandomStream, count: number, process: ArrivalProcess): number[] {
  const { requestRatePerSec, burstiness } = process
  const arrivals: number[] = []
  let sum = 0
  for (let i = 0; i < count; i++) {
    sum += burstiness === Infinity ? 1 : drawGamma(random, burstiness)
    arrivals.push(sum)
  }
  const stretch = sum === 0 ? 0 : ((count / requestRatePerSec) * 1000) / sum
  return arrivals.map((arrival) => arrival * stretch)
}

/** A trace's own times, ascending from 0, slowed or sped to a mean rate; unchanged where the rate is null. */
export function scaleArrivalsMs(arrivalsMs: readonly number[], requestRatePerSec: number | null): number[] {
  const lastMs = arrivalsMs.at(-1) ?? 0
  if (requestRatePerSec === null || lastMs === 0) return [...arrivalsMs]
  const stretch = ((arrivalsMs.length / requestRatePerSec) * 1000) / lastMs
  return arrivalsMs.map((arrival) => arrival * stretch)
}
