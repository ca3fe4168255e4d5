// What a fleet is planned for (Mélange, arXiv 2404.14527): a load by request size, and the accelerator types that can be had.

/** Sizes up to these, and above those of the next smaller bucket: a bucket counts as its upper edge. */
export interface SizeBucket {
  readonly inputTokens: number
  readonly outputTokens: number
}

export interface FleetType {
  readonly name: string
  /** Per instance. Any currency; 0 or more. */
  readonly usdPerHour: number
  /** Instances that can be had; null: as many as it takes. */
  readonly stock: number | null
  /** Highest requests per second that one instance serves within the SLO, by bucket; 0: not one, and none is sent there. */
  readonly maxRatePerSec: readonly number[]
}

export interface FleetProblem {
  /** Requests per second, by bucket. */
  readonly ratePerSec: readonly number[]
  /** One or more. */
  readonly types: readonly FleetType[]
  /** Parts of a bucket that can go to different types; 1 or more. Mélange uses 8 and finds 4 enough. */
  readonly sliceFactor: number
  /** Share of every instance that is kept free, 0..1: loads do not quite add up near saturation. */
  readonly headroomRatio: number
}

/** Share of one instance that one slice of the bucket takes; null: the type cannot serve it. */
export function sliceLoad({ ratePerSec, types, sliceFactor, headroomRatio }: FleetProblem, bucket: number, type: number): number | null {
  const maxRate = types[type]!.maxRatePerSec[bucket]! * (1 - headroomRatio)
  return maxRate === 0 ? null : ratePerSec[bucket]! / sliceFactor / maxRate
}

/** Buckets that have any load. */
export function loadedBuckets({ ratePerSec }: FleetProblem): number[] {
  return [...ratePerSec.keys()].filter((bucket) => ratePerSec[bucket]! > 0)
}
