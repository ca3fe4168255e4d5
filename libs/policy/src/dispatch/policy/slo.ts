// The default policy: among all ways to serve a request, the one by which targets are missed least, its own and those of the
// sequences beside it, then the one that finishes first. Full instances come last whatever they promise.
import { NEAR_TIE_RATIO, nearLeast, exactly, preferring, withinFivePercent } from '../selection/selectors.ts'
import { pickByHash } from '../selection/rendezvous.ts'
import { pairOptions } from './pair-options.ts'
import { colocatedOption, decisionOf, isPair, optionFreeness, optionKey } from '../forecast/options.ts'
import type { DispatchOption } from '../forecast/options.ts'
import { forecastsFor } from '../forecast/forecasts.ts'
import type { Forecasts } from '../forecast/forecasts.ts'
import { overshootRatio } from '../forecast/instance-forecast.ts'
import type { DispatchInstance, DispatchPolicy, DispatchRequest, Placement } from '../snapshot.ts'

/** Overshoots closer than 5 % of a target, or of themselves, are equal. */
function nearOvershoot(least: number): number {
  return NEAR_TIE_RATIO * (1 + least)
}

function options(request: DispatchRequest, instances: readonly DispatchInstance[], placement: Placement, forecasts: Forecasts): readonly DispatchOption[] {
  const shipped = pairOptions(request, instances, { forecasts, placement })
  if (placement === 'disaggregated' && shipped.length > 0) return shipped
  return [...instances.map((instance) => colocatedOption(request, forecasts.of(instance))), ...shipped]
}

/** Relative overshoot of both its targets, where set, and what it adds to that of others. */
function deficit(request: DispatchRequest, option: DispatchOption): number {
  const ttft = request.ttftMs === null ? 0 : overshootRatio(option.ttftMs, request.ttftMs)
  const tpot = request.tpotMs === null ? 0 : overshootRatio(option.tpotMs, request.tpotMs)
  return ttft + tpot + option.harm
}

/** Those with room; when none has, those with the highest freeness. */
function withRoom(choices: readonly DispatchOption[]): readonly DispatchOption[] {
  const roomiest = nearLeast(choices, (option) => option.tightness, exactly)
  return roomiest[0]?.tightness === 2 ? nearLeast(roomiest, (option) => -optionFreeness(option), withinFivePercent) : roomiest
}

/** Those that finish and start about as early as the one that finishes first. */
function earliest(choices: readonly DispatchOption[]): readonly DispatchOption[] {
  const near = nearLeast(choices, (option) => option.completionMs, withinFivePercent)
  const first = nearLeast(near, (option) => option.completionMs, exactly)
  const ttftMs = Math.min(...first.map((option) => option.ttftMs))
  return near.filter((option) => option.ttftMs <= ttftMs * (1 + NEAR_TIE_RATIO))
}

/** Predicts every option and picks lexicographically. O(instances), plus a bounded number of pairs. */
export function slo(placement: Placement): DispatchPolicy {
  return (request, instances) => {
    if (instances.length === 0) return { kind: 'none' }
    const forecasts = forecastsFor(request, instances, placement)
    let choices = withRoom(options(request, instances, placement, forecasts))
    if (forecasts.isMeasured) choices = nearLeast(choices, (option) => deficit(request, option), nearOvershoot)
    // Shipping costs a link and two processors: it has to win clearly.
    choices = preferring(earliest(choices), (option) => !isPair(option))
    return decisionOf(pickByHash(choices, request.requestId, optionKey), forecasts.isMeasured)
  }
}
