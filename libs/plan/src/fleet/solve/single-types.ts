// What a fleet of one type alone would cost: the baselines that Mélange compares with.
import { loadedBuckets, sliceLoad } from '../problem/problem.ts'
import type { FleetProblem } from '../problem/problem.ts'
import { instancesFor } from './plan-fleet.ts'

export type SingleType =
  | { readonly kind: 'enough'; readonly type: string; readonly count: number; readonly usdPerHour: number }
  | { readonly kind: 'unservable'; readonly type: string; readonly buckets: readonly number[] }
  | { readonly kind: 'short-of-stock'; readonly type: string; readonly count: number }

/** Every type by itself, in the order of the problem. */
export function singleTypes(problem: FleetProblem): SingleType[] {
  const buckets = loadedBuckets(problem)
  return problem.types.map(({ name, usdPerHour, stock }, type): SingleType => {
    const loads = buckets.map((bucket) => ({ bucket, load: sliceLoad(problem, bucket, type) }))
    const unservable = loads.filter(({ load }) => load === null).map(({ bucket }) => bucket)
    if (unservable.length > 0) return { kind: 'unservable', type: name, buckets: unservable }
    const count = instancesFor(loads.reduce((sum, { load }) => sum + problem.sliceFactor * load!, 0))
    return stock !== null && count > stock ? { kind: 'short-of-stock', type: name, count } : { kind: 'enough', type: name, count, usdPerHour: count * usdPerHour }
  })
}
