// Whether requests met their targets, over all that were offered: what failed or was refused has missed.
import type { Answer } from '../client/generate-client.ts'
import type { PlannedRequest, SloTargets } from '../dataset/planned-request.ts'
import { e2elMs, tpotMs, ttftMs } from './latencies.ts'

/** One request of a run, with what became of it. */
export interface RunRecord {
  readonly request: PlannedRequest
  /** When the plan had it sent, from the start of the run. */
  readonly scheduledMs: number
  readonly answer: Answer
}

/** Null: no target. */
export interface Verdict {
  readonly ttft: boolean | null
  readonly tpot: boolean | null
  readonly e2el: boolean | null
  /** All of them. */
  readonly slo: boolean | null
}

export interface Attainment {
  /** Requests with a target that met all of theirs. */
  readonly numMet: number
  /** Output tokens of those. */
  readonly tokensMet: number
  /** Of the offered requests; null: none has a target. */
  readonly sloRatio: number | null
  /** Of the offered requests that have a TPOT target; null: none has. */
  readonly tpotRatio: number | null
}

const NO_VERDICT: Verdict = { ttft: null, tpot: null, e2el: null, slo: null }

export function verdictOf(answer: Answer, targets: SloTargets | null): Verdict {
  if (targets === null) return NO_VERDICT
  const completed = answer.end.kind === 'completed'
  const judge = (targetMs: number | null, valueMs: number | null): boolean | null => (targetMs === null ? null : completed && (valueMs ?? 0) <= targetMs)
  // As in `vllm bench serve`, an answer of one token has TPOT 0.
  const parts = { ttft: judge(targets.ttftMs, ttftMs(answer)), tpot: judge(targets.tpotMs, tpotMs(answer)), e2el: judge(targets.e2elMs, e2elMs(answer)) }
  const judged = Object.values(parts).filter((met) => met !== null)
  return { ...parts, slo: judged.length === 0 ? null : judged.every(Boolean) }
}

/** The request's own targets, else the run's. */
export function targetsFor(request: PlannedRequest, goodput: SloTargets | null): SloTargets | null {
  return request.slo ?? goodput
}

/** Of offered records; interrupted ones must have been left out. */
export function attainmentOf(offered: readonly RunRecord[], goodput: SloTargets | null): Attainment {
  let [numMet, tokensMet, numJudged, numTpotMet, numTpotJudged] = [0, 0, 0, 0, 0]
  for (const { request, answer } of offered) {
    const verdict = verdictOf(answer, targetsFor(request, goodput))
    if (verdict.slo !== null) numJudged++
    if (verdict.tpot !== null) numTpotJudged++
    if (verdict.tpot === true) numTpotMet++
    if (verdict.slo !== true) continue
    numMet++
    tokensMet += answer.outputTokens
  }
  return {
    numMet,
    tokensMet,
    sloRatio: numJudged === 0 ? null : numMet / numJudged,
    tpotRatio: numTpotJudged === 0 ? null : numTpotMet / numTpotJudged,
  }
}
