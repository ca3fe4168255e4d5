// Everything that is measured while one trial runs, and the report that it makes of it at the end. Memory does not grow with
// tokens: gaps go into a histogram, only per-request figures are kept.
import { AttainmentBook } from './attainment.ts'
import { cdfOf, cdfOfHistogram, summaryOf, summaryOfHistogram } from './latency-summary.ts'
import { LogHistogram } from './log-histogram.ts'
import { NumberList } from './number-list.ts'
import { tpotMsOf } from './outcome.ts'
import type { RequestOutcome } from './outcome.ts'
import type { SlowdownBook } from './slowdown-book.ts'
import type { TimelineBook } from './timeline-book.ts'
import type { TrialCounts, TrialHead, TrialLatencies, TrialReport } from '../trial-report.ts'

/** What only the runner knows. */
export interface TrialEnd {
  /** From the first arrival to the last end. */
  readonly durationMs: number
  readonly blocksLeaked: number
  readonly numCut: number
  readonly numRedrawn: number
  readonly costPerHour: number
  readonly powerW: number
}

const MAX_ERROR_KINDS = 20

export class TrialRecorder {
  readonly gaps = new LogHistogram()
  readonly attainment = new AttainmentBook()
  readonly timelines: TimelineBook
  readonly #slowdown: SlowdownBook | null
  readonly #delays = new NumberList()
  readonly #ttft = new NumberList()
  readonly #tpot = new NumberList()
  readonly #e2e = new NumberList()
  readonly #downtime = new NumberList()
  readonly #errors = new Map<string, number>()
  #inputTokens = 0
  #outputTokens = 0
  #tokensLost = 0
  #tokensDuplicated = 0
  #recoveries = 0

  constructor(timelines: TimelineBook, slowdown: SlowdownBook | null) {
    this.timelines = timelines
    this.#slowdown = slowdown
  }

  /** Tokens reached a client `gapMs` after the ones before; null: they are its first. Those that came together have no gap between them. */
  tokens(numTokens: number, gapMs: number | null): void {
    if (gapMs !== null) this.gaps.add(gapMs)
    if (numTokens > 1) this.gaps.add(0, numTokens - 1)
  }

  ended(outcome: RequestOutcome): void {
    this.attainment.add(outcome)
    this.#recoveries += outcome.recoveries
    this.#tokensDuplicated += outcome.numDuplicated
    this.#tokensLost += outcome.numLost
    if (outcome.downtimeMs !== null) this.#downtime.push(outcome.downtimeMs)
    if (outcome.end === 'finished') this.#finished(outcome)
    else this.#failed(outcome.error ?? 'unknown')
  }

  report(head: TrialHead, end: TrialEnd): TrialReport {
    return {
      ...head,
      ...this.#counts(end),
      ...this.#latencies(),
      classes: this.attainment.classes(),
      slowdown: this.#slowdown?.report() ?? null,
      details: {
        attainment_over_time: this.attainment.overTime(),
        timelines: this.timelines.timelines(),
        cdf: { ttft_ms: cdfOf(this.#ttft), tpot_ms: cdfOf(this.#tpot), tbt_ms: cdfOfHistogram(this.gaps), e2e_ms: cdfOf(this.#e2e) },
      },
    }
  }

  #finished(outcome: RequestOutcome): void {
    const { planned, ttftMs, e2eMs, delayMs, numTokens } = outcome
    const tpotMs = tpotMsOf(outcome)
    if (ttftMs !== null) this.#ttft.push(ttftMs)
    if (e2eMs !== null) this.#e2e.push(e2eMs)
    if (tpotMs !== null) this.#tpot.push(tpotMs)
    if (delayMs !== null) this.#delays.push(delayMs)
    this.#slowdown?.add(planned, { ttftMs, tpotMs, e2eMs })
    this.#inputTokens += planned.promptTokens
    this.#outputTokens += numTokens
    this.#tokensLost += Math.max(0, planned.outputTokens - numTokens - outcome.numLost)
    this.#tokensDuplicated += Math.max(0, numTokens - planned.outputTokens - outcome.numDuplicated)
  }

  #failed(error: string): void {
    const key = this.#errors.has(error) || this.#errors.size < MAX_ERROR_KINDS ? error : 'other'
    this.#errors.set(key, (this.#errors.get(key) ?? 0) + 1)
  }

  #counts(end: TrialEnd): TrialCounts {
    const { total } = this.attainment
    const perSec = (amount: number): number => (end.durationMs > 0 ? (amount / end.durationMs) * 1000 : 0)
    return {
      offered: total.offered,
      completed: total.completed,
      failed: total.offered - total.completed,
      duration_s: end.durationMs / 1000,
      slo_attainment: total.sloRatio,
      tpot_attainment: total.tpotRatio,
      slo_goodput: total.sloRatio === null ? null : perSec(total.tokensMet),
      request_throughput: perSec(total.completed),
      output_throughput: perSec(this.#outputTokens),
      total_input_tokens: this.#inputTokens,
      total_output_tokens: this.#outputTokens,
      preemptions: this.timelines.preemptions,
      migrations: this.timelines.migrations,
      recoveries: this.#recoveries,
      tokens_lost: this.#tokensLost,
      tokens_duplicated: this.#tokensDuplicated,
      blocks_leaked: end.blocksLeaked,
      lengths_cut: end.numCut,
      lengths_redrawn: end.numRedrawn,
      cost: end.costPerHour,
      power: end.powerW,
      error_counts: Object.fromEntries(this.#errors),
    }
  }

  #latencies(): TrialLatencies {
    return {
      ttft_ms: summaryOf(this.#ttft),
      tpot_ms: summaryOf(this.#tpot),
      tbt_ms: summaryOfHistogram(this.gaps),
      e2e_ms: summaryOf(this.#e2e),
      scheduling_delay_ms: summaryOf(this.#delays),
      downtime_ms: summaryOf(this.#downtime),
    }
  }
}
