// Turns a choice of one instance into a dispatch policy: the same choice is made for each duty, and with automatic placement the
// predicted times decide between one instance and a pair.
import { colocatedOption, decisionOf, pairOption } from '../forecast/options.ts'
import { forecastsFor } from '../forecast/forecasts.ts'
import { NEAR_TIE_RATIO, preferring } from '../selection/selectors.ts'
import type { Duty } from '../selection/metrics.ts'
import { decodeCandidates, isDedicated, mayShip, prefillCandidates, takesDecodes } from '../selection/roles.ts'
import type { DispatchInstance, DispatchPolicy, DispatchRequest, Placement } from '../snapshot.ts'

/** Chooses among at least one instance. */
export type InstanceChoice = (request: DispatchRequest, instances: readonly DispatchInstance[], duty: Duty) => DispatchInstance

interface Pair {
  readonly prefill: DispatchInstance
  readonly decode: DispatchInstance
}

function choosePair(choose: InstanceChoice, request: DispatchRequest, instances: readonly DispatchInstance[]): Pair | null {
  const prefills = prefillCandidates(instances)
  const decodes = decodeCandidates(instances)
  // A lone instance that does both is left to the side that has no other.
  const prefill = prefills.filter((instance) => decodes.length > 1 || instance !== decodes[0])
  if (prefill.length === 0 || decodes.length === 0) return null
  const first = choose(request, prefill, 'prompt')
  return { prefill: first, decode: choose(request, decodes.filter((instance) => instance !== first), 'decode') }
}

/** Who serves a request alone: with automatic placement instances of the mixed role, after a recovery those that decode. */
function alone(request: DispatchRequest, instances: readonly DispatchInstance[], placement: Placement): readonly DispatchInstance[] {
  if (placement === 'colocated') return instances
  if (request.emittedTokens > 0) return preferring(instances, takesDecodes)
  return preferring(instances, (instance) => !isDedicated(instance))
}

/** The policy that follows `choose`. */
export function byInstance(choose: InstanceChoice, placement: Placement): DispatchPolicy {
  return (request, instances) => {
    if (instances.length === 0) return { kind: 'none' }
    const forecasts = forecastsFor(request, instances, placement)
    const single = choose(request, alone(request, instances, placement), 'both')
    const colocated = colocatedOption(request, forecasts.of(single))
    const pair = placement === 'colocated' || !mayShip(request) ? null : choosePair(choose, request, instances)
    if (pair === null) return decisionOf(colocated, forecasts.isMeasured)
    const shipped = pairOption(request, forecasts.of(pair.prefill), forecasts.of(pair.decode))
    const isFaster = (isDedicated(pair.prefill) || isDedicated(pair.decode)) && shipped.completionMs * (1 + NEAR_TIE_RATIO) < colocated.completionMs
    return decisionOf(placement === 'disaggregated' || isFaster ? shipped : colocated, forecasts.isMeasured)
  }
}
