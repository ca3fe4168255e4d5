// The prefill x decode pairs worth predicting: the best few of each side, so that the number of pairs stays bounded.
import { expectedOutputTokens } from '../forecast/instance-forecast.ts'
import type { Forecasts } from '../forecast/forecasts.ts'
import { pairOption } from '../forecast/options.ts'
import type { DispatchOption } from '../forecast/options.ts'
import { predictPullMs } from '../forecast/transfer-time.ts'
import { tightness } from '../selection/metrics.ts'
import type { Duty } from '../selection/metrics.ts'
import { pairHash } from '../selection/rendezvous.ts'
import { decodeCandidates, isDedicated, mayShip, prefillCandidates } from '../selection/roles.ts'
import { NEAR_TIE_RATIO } from '../selection/selectors.ts'
import type { DispatchInstance, DispatchRequest, Placement } from '../snapshot.ts'

/** One left out could only win by a link or a prefix that all of these lack. */
const MAX_SIDE = 10

interface PairSetting {
  readonly forecasts: Forecasts
  readonly placement: Placement
}

interface Ranked {
  readonly instance: DispatchInstance
  readonly tightness: number
  /** Equal for costs about 5 % apart, so that the hash decides between them. */
  readonly costStep: number
  readonly hash: number
}

function precedes(a: Ranked, b: Ranked): number {
  return a.tightness - b.tightness || a.costStep - b.costStep || a.hash - b.hash || (a.instance.instanceId < b.instance.instanceId ? -1 : 1)
}

function bestSide(request: DispatchRequest, instances: readonly DispatchInstance[], duty: Duty, costMs: (instance: DispatchInstance) => number): readonly DispatchInstance[] {
  if (instances.length <= MAX_SIDE) return instances
  const ranked = instances.map((instance): Ranked => ({
    instance,
    tightness: tightness(request, instance, duty),
    costStep: Math.round(Math.log(costMs(instance)) / NEAR_TIE_RATIO),
    hash: pairHash(request.requestId, instance.instanceId),
  }))
  return ranked.sort(precedes).slice(0, MAX_SIDE).map(({ instance }) => instance)
}

/**
 * At most MAX_SIDE squared options; none when no two instances could make a pair. Two mixed instances are one only on demand: with
 * like instances on both sides shipping moves load about, and gains nothing that dispatch alone does not.
 */
export function pairOptions(request: DispatchRequest, instances: readonly DispatchInstance[], { forecasts, placement }: PairSetting): DispatchOption[] {
  if (placement === 'colocated' || !mayShip(request)) return []
  const pairsMixed = placement === 'disaggregated'
  if (!pairsMixed && !instances.some(isDedicated)) return []
  const numGaps = expectedOutputTokens(request) - 1
  const prefills = bestSide(request, prefillCandidates(instances), 'prompt', (instance) => forecasts.of(instance).ttftMs)
  const decodes = bestSide(request, decodeCandidates(instances), 'decode', (instance) =>
    numGaps * forecasts.of(instance).tpotMs + predictPullMs(request, instance))
  const receivers = decodes.map(forecasts.of)
  const options: DispatchOption[] = []
  for (const prefill of prefills.map(forecasts.of)) {
    for (const decode of receivers) {
      if (prefill === decode || !(pairsMixed || isDedicated(prefill.instance) || isDedicated(decode.instance))) continue
      options.push(pairOption(request, prefill, decode))
    }
  }
  return options
}
