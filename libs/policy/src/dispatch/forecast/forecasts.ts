// Predictions for one decision, each instance predicted once and only when asked for.
import type { DispatchInstance, DispatchRequest, Placement } from '../snapshot.ts'
import type { Duty } from '../selection/metrics.ts'
import { takesDecodes, takesPrompts } from '../selection/roles.ts'
import { fallbackModel } from './cost-models.ts'
import { forecastInstance } from './instance-forecast.ts'
import type { InstanceForecast } from './instance-forecast.ts'

export interface Forecasts {
  readonly of: (instance: DispatchInstance) => InstanceForecast
  /** False: no instance knows its cost; predictions compare choices but are no times. */
  readonly isMeasured: boolean
}

/** What each role is there for. With colocated placement, or while nobody else has the other duty, an instance does both. */
function homes(instances: readonly DispatchInstance[], placement: Placement): (instance: DispatchInstance) => Duty {
  const canShip = placement !== 'colocated'
  const hasPrompts = canShip && instances.some((instance) => instance.shipsKv && takesPrompts(instance))
  const hasDecodes = canShip && instances.some((instance) => instance.shipsKv && takesDecodes(instance))
  return ({ role, shipsKv }) => {
    if (!shipsKv || role === 'mixed') return 'both'
    if (role === 'prefill') return hasDecodes ? 'prompt' : 'both'
    return hasPrompts ? 'decode' : 'both'
  }
}

/** Predictions of one request over these instances. */
export function forecastsFor(request: DispatchRequest, instances: readonly DispatchInstance[], placement: Placement): Forecasts {
  const fallback = fallbackModel(instances)
  const homeOf = homes(instances, placement)
  const known = new Map<string, InstanceForecast>()
  const of = (instance: DispatchInstance): InstanceForecast => {
    const before = known.get(instance.instanceId)
    if (before !== undefined) return before
    const forecast = forecastInstance(request, instance, instance.costModel ?? fallback.model, homeOf(instance))
    known.set(instance.instanceId, forecast)
    return forecast
  }
  return { of, isMeasured: fallback.isMeasured }
}
