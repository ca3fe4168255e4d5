// Measures what the server does for one request at a time: the baseline that relative targets are multiples of.
import { RubatoError } from '@rubato/config'
import { percentile } from '../statistics.ts'
import type { Answer } from './client/generate-client.ts'
import { calibrationNeeds } from './dataset/mixed-slo.ts'
import type { Baseline } from './dataset/mixed-slo.ts'
import { planCalibration } from './dataset/plan.ts'
import type { PlannedRequest } from './dataset/planned-request.ts'
import type { BenchServeOptions } from './options.ts'
import { tpotMs, ttftMs } from './report/latencies.ts'

function median(values: readonly (number | null)[]): number | null {
  return percentile(values.filter((value) => value !== null).toSorted((a, b) => a - b), 50)
}

/**
 * Sends each class's calibration requests one after the other. TTFT is a median per class, TPOT one over all of them. Nothing is sent where no
 * target is relative. Throws RubatoError `unavailable` when a request fails.
 */
export async function measureBaseline(options: BenchServeOptions, ask: (request: PlannedRequest) => Promise<Answer>): Promise<Baseline> {
  const { classes, baselineTpotMs } = options.dataset
  const needs = calibrationNeeds(classes, baselineTpotMs)
  const ttftMsOf: Record<string, number> = {}
  const tpots: (number | null)[] = []
  if (!needs.ttft && !needs.tpot) return { tpotMs: baselineTpotMs, ttftMsOf }
  for (const one of classes) {
    const ttfts: (number | null)[] = []
    for (const request of planCalibration(one, options.dataset, options.seed)) {
      const answer = await ask(request)
      if (answer.end.kind !== 'completed') {
        throw new RubatoError('unavailable', `calibration of ${one.name}: ${answer.end.kind === 'failed' ? answer.end.message : 'interrupted'}`)
      }
      ttfts.push(ttftMs(answer))
      tpots.push(tpotMs(answer))
    }
    const ttft = median(ttfts)
    if (ttft !== null) ttftMsOf[one.name] = ttft
  }
  return { tpotMs: baselineTpotMs ?? median(tpots), ttftMsOf }
}
