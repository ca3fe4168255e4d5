// Delta debugging: fewer faults and requests that still violate the same invariant.
//
//   drop half of them -> still the same? keep : try the other half, then quarters, ... one by one
import type { Invariant } from '../check/violation.ts'
import type { PlannedRequest, SwarmPlan } from '../draw/plan.ts'
import type { Strike } from '../faults/fault.ts'

export interface Failing {
  readonly plan: SwarmPlan
  readonly strikes: readonly Strike[]
}

export interface ShrinkOptions {
  readonly invariant: Invariant
  /** Replays, and says which invariant is violated; null: none. */
  readonly replay: (failing: Failing) => Invariant | null
  /** Asked between replays: false ends with what there is. */
  readonly hasTime: () => boolean
}

/** The smallest that was found: what is given where nothing smaller fails. */
export function shrink(failing: Failing, { invariant, replay, hasTime }: ShrinkOptions): Failing {
  let smallest = failing
  const tries = (candidate: Failing): boolean => {
    if (!hasTime() || replay(candidate) !== invariant) return false
    smallest = candidate
    return true
  }
  reduce(failing.strikes, hasTime, (strikes) => tries({ ...smallest, strikes }))
  reduce(failing.plan.requests, hasTime, (requests: readonly PlannedRequest[]) => tries({ ...smallest, plan: { ...smallest.plan, requests } }))
  reduce(smallest.strikes, hasTime, (strikes) => tries({ ...smallest, strikes }))
  return smallest
}

/** ddmin by complements: `fails` says whether what is left still fails, and keeps it then. */
export function reduce<T>(items: readonly T[], hasTime: () => boolean, fails: (left: readonly T[]) => boolean): readonly T[] {
  let left = items
  for (let numParts = 2; left.length > 0 && hasTime(); ) {
    const size = Math.ceil(left.length / numParts)
    const smaller = complements(left, size).find(fails)
    if (smaller !== undefined) {
      left = smaller
      numParts = Math.max(2, numParts - 1)
    } else if (size === 1) break
    else numParts = Math.min(left.length, 2 * numParts)
  }
  return left
}

function complements<T>(items: readonly T[], size: number): (readonly T[])[] {
  const starts = Array.from({ length: Math.ceil(items.length / size) }, (_, part) => part * size)
  return starts.map((start) => [...items.slice(0, start), ...items.slice(start + size)])
}
