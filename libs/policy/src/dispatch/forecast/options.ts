// The ways to serve a request, each with its predicted times: one instance alone, or a prefill and a decode instance.
import { tightness } from '../selection/metrics.ts'
import type { Tightness } from '../selection/metrics.ts'
import type { DispatchDecision, DispatchInstance, DispatchRequest } from '../snapshot.ts'
import { expectedOutputTokens } from './instance-forecast.ts'
import type { InstanceForecast } from './instance-forecast.ts'
import { predictTransferMs } from './transfer-time.ts'

export interface DispatchOption {
  /** Computes the prompt. */
  readonly prefill: DispatchInstance
  /** Decodes; the same instance when nothing is shipped. */
  readonly decode: DispatchInstance
  readonly ttftMs: number
  /** Mean over the expected output, the visible transfer included. */
  readonly tpotMs: number
  /** Until the last expected token. A prompt on an instance meant for decodes counts dearer than it is. */
  readonly completionMs: number
  /** Relative overshoot that the request adds to others, summed over them. */
  readonly harm: number
  readonly tightness: Tightness
}

/** A prompt on a decode instance takes room from the tokens that it is there for. Its stay on a prefill instance is in tpotMs. */
const OFF_ROLE_RATIO = 1.25

/** Everything on one instance. */
export function colocatedOption(request: DispatchRequest, forecast: InstanceForecast): DispatchOption {
  const { instance, home, ttftMs, tpotMs } = forecast
  const numGaps = expectedOutputTokens(request) - 1
  const completionMs = ttftMs * (home === 'decode' ? OFF_ROLE_RATIO : 1) + numGaps * tpotMs
  return { prefill: instance, decode: instance, ttftMs, tpotMs, completionMs, harm: forecast.bothHarm, tightness: tightness(request, instance, 'both') }
}

/** Prompt on one, decoding on another; the first token comes from the prefill instance, the rest after the transfer. */
export function pairOption(request: DispatchRequest, prefill: InstanceForecast, decode: InstanceForecast): DispatchOption {
  const numGaps = Math.max(1, expectedOutputTokens(request) - 1)
  const tpotMs = decode.tpotMs + predictTransferMs(request, prefill, decode.instance) / numGaps
  const promptTightness = tightness(request, prefill.instance, 'prompt')
  const decodeTightness = tightness(request, decode.instance, 'decode')
  return {
    prefill: prefill.instance, decode: decode.instance, ttftMs: prefill.ttftMs, tpotMs,
    completionMs: prefill.ttftMs + numGaps * tpotMs,
    harm: prefill.promptHarm + decode.decodeHarm,
    tightness: promptTightness > decodeTightness ? promptTightness : decodeTightness,
  }
}

export function isPair(option: DispatchOption): boolean {
  return option.prefill !== option.decode
}

/** Least freeness of the instances involved. */
export function optionFreeness({ prefill, decode }: DispatchOption): number {
  return Math.min(prefill.freenessBlocks, decode.freenessBlocks)
}

export function optionKey({ prefill, decode }: DispatchOption): string {
  return prefill === decode ? prefill.instanceId : `${prefill.instanceId}\n${decode.instanceId}`
}

/** The option as a decision; predictions that rest on nothing measured are left out. */
export function decisionOf(option: DispatchOption, isMeasured: boolean): DispatchDecision {
  const forecast = isMeasured ? { ttftMs: option.ttftMs, tpotMs: option.tpotMs } : { ttftMs: null, tpotMs: null }
  if (!isPair(option)) return { kind: 'colocated', instanceId: option.prefill.instanceId, forecast }
  return { kind: 'disaggregated', prefillId: option.prefill.instanceId, decodeId: option.decode.instanceId, forecast }
}
