// Brings the requests of a trace in: the queue of events holds the next arrival, not all of them.
import { RubatoError } from '@rubato/config'
import type { SimWorld } from '../sim-world.ts'
import type { ReferenceRequest } from './trace.ts'

/** Calls `arrive` at every request's time; what arrives at one instant comes before all that it causes. Throws RubatoError `trace_unsorted` for a trace that is not in order of arrival. */
export function scheduleArrivals(world: SimWorld, trace: readonly ReferenceRequest[], arrive: (request: ReferenceRequest, index: number) => void): void {
  const isSorted = trace.every(({ arrivalMs }, index) => index === 0 || trace[index - 1]!.arrivalMs <= arrivalMs)
  if (!isSorted) throw new RubatoError('trace_unsorted', 'the requests of a trace must be in order of arrival')
  let next = 0
  const scheduleNext = (): void => {
    if (next === trace.length) return
    const { arrivalMs } = trace[next]!
    world.scheduleAt(arrivalMs, () => {
      for (; trace[next]?.arrivalMs === arrivalMs; next++) arrive(trace[next]!, next)
      scheduleNext()
    })
  }
  scheduleNext()
}
