// One trial: one variant at one rate with one seed, simulated from its first arrival until every request has ended.
//
//   assemble -> settle (everybody knows everybody) -> arrivals and faults -> drain -> rest (leases and orphans run out) -> report
import { RubatoError } from '@rubato/config'
import { dispatchPolicy } from '@rubato/policy'
import { SimWorld } from '@rubato/sim'
import { requireModel } from '@rubato/sim/cost'
import type { TraceRow } from '../../../bench/serve/dataset/trace-rows.ts'
import { median } from '../../../bench/statistics.ts'
import { SimCluster } from '../../cluster/index.ts'
import type { SimRequestRecord } from '../../cluster/index.ts'
import type { RequestOutcome } from '../../report/measure/outcome.ts'
import { SlowdownBook } from '../../report/measure/slowdown-book.ts'
import { TimelineBook } from '../../report/measure/timeline-book.ts'
import { TrialRecorder } from '../../report/measure/trial-recorder.ts'
import type { TrialHead, TrialReport } from '../../report/trial-report.ts'
import type { Scenario, Variant } from '../../scenario/scenario.ts'
import type { PlannedTotals } from '../../search/pass.ts'
import { planWorkload } from '../../workload/plan-workload.ts'
import type { WorkloadPlan } from '../../workload/plan-workload.ts'
import type { PlannedRequest } from '../../workload/planned-request.ts'
import { clientRequest, plannedIndex } from './client-request.ts'
import { costPerHour, instanceSpecs, powerW, referenceMachine } from './hardware.ts'
import { scheduleFaults } from './schedule-faults.ts'
import { targetsOf } from './targets.ts'

export interface TrialProgress {
  /** Simulated time since the first arrival. */
  readonly simulatedMs: number
  readonly numEnded: number
  readonly numRequests: number
}

export interface TrialOptions {
  readonly scenario: Scenario
  readonly variant: Variant
  /** null: a trace's own speed. */
  readonly ratePerSec: number | null
  readonly seed: number
  /** Of the trace; empty where lengths come from elsewhere. */
  readonly rows: readonly TraceRow[]
  readonly onProgress?: (progress: TrialProgress) => void
  /** Asked now and then: true ends the trial at once. */
  readonly isDecided?: (recorder: TrialRecorder, totals: PlannedTotals) => boolean
}

export interface TrialResult {
  readonly report: TrialReport
  /** It was decided before its end: the report is of the part that ran. */
  readonly cutShort: boolean
}

/** Simulated time between two looks at how far it is. */
const LOOK_EVERY_MS = 1_000
/** Longer than leases and orphans live. */
const REST_MS = 15_000
/** Nothing has ended for so long: nothing will. */
const STUCK_MS = 1_800_000
const NUM_SAMPLES = 120
const MIN_SAMPLE_MS = 100

/** Throws RubatoError `sim_crashed` when an actor or an engine threw: a bug, whose seed the message names. */
export function runTrial(options: TrialOptions): TrialResult {
  return new Trial(options).run()
}

class Trial {
  readonly #options: TrialOptions
  readonly #plan: WorkloadPlan
  readonly #world: SimWorld
  readonly #cluster: SimCluster
  readonly #recorder: TrialRecorder
  #startMs = 0
  #lastEndMs = 0
  #numEnded = 0
  /** By position in the plan. */
  readonly #hasEnded: Uint8Array

  constructor(options: TrialOptions) {
    const { scenario: { slo }, scenario, variant, seed, rows, ratePerSec } = options
    this.#options = options
    const reference = slo === null || slo.reference === null ? null : referenceMachine(scenario.variants[0]!, slo.reference)
    this.#plan = planWorkload(scenario.workload, { seed, ratePerSec, rows, maxModelLen: variant.limits.maxModelLen, targetsOf: targetsOf(slo, reference) })
    this.#hasEnded = new Uint8Array(this.#plan.requests.length)
    const lastArrivalMs = this.#plan.requests.at(-1)?.arrivalMs ?? 0
    this.#recorder = new TrialRecorder(new TimelineBook(Math.max(MIN_SAMPLE_MS, lastArrivalMs / NUM_SAMPLES)), reference === null ? null : new SlowdownBook(reference))
    this.#world = new SimWorld({ seed })
    this.#cluster = this.#assemble()
  }

  run(): TrialResult {
    const { scenario: { faults }, isDecided } = this.#options
    this.#settle()
    scheduleFaults(faults, this.#world, this.#cluster)
    this.#arrive(0)
    this.#sample()
    const { requests } = this.#plan
    const totals = { numRequests: requests.length, numGaps: requests.reduce((sum, { outputTokens }) => sum + outputTokens - 1, 0) }
    let cutShort = false
    while (this.#numEnded < requests.length && !cutShort && !this.#isStuck()) {
      this.#world.runFor(LOOK_EVERY_MS)
      this.#check()
      this.#options.onProgress?.({ simulatedMs: this.#nowMs(), numEnded: this.#numEnded, numRequests: requests.length })
      cutShort = isDecided?.(this.#recorder, totals) ?? false
    }
    if (!cutShort) this.#rest()
    this.#check()
    return { report: this.#report(cutShort), cutShort }
  }

  #assemble(): SimCluster {
    const { scenario, variant, variant: { policies, limits } } = this.#options
    return new SimCluster({
      world: this.#world, numRouters: scenario.numRouters, engine: scenario.engine, checkEveryEvent: scenario.engine === 'checked',
      instances: instanceSpecs(variant, scenario.jitterRatio),
      dispatch: dispatchPolicy(policies.dispatch, { placement: policies.placement }),
      migration: policies.migration,
      admission: {
        maxConcurrentRequests: limits.maxConcurrentRequests,
        ...(limits.queueSize === null ? {} : { queueSize: limits.queueSize }),
        ...(limits.queueTimeoutMs === null ? {} : { queueTimeoutMs: limits.queueTimeoutMs }),
      },
      recording: {
        keepsTokens: false,
        keepsGaps: policies.migration !== 'off',
        onTokens: (_record, numTokens, gapMs) => this.#recorder.tokens(numTokens, gapMs),
        onEnd: (record) => this.#onEnd(record),
      },
    })
  }

  #settle(): void {
    this.#cluster.runUntilReady()
    this.#startMs = this.#world.nowMs()
    this.#lastEndMs = this.#startMs
  }

  /** Each arrival schedules the next: prompts exist only while their requests do. */
  #arrive(index: number): void {
    const planned = this.#plan.requests[index]
    if (planned === undefined) return
    this.#world.schedule(this.#startMs + planned.arrivalMs - this.#world.nowMs(), () => {
      const { variant, seed } = this.#options
      const { name: id, vocabSize } = requireModel(variant.fleet[0]!.model)
      this.#cluster.submit(clientRequest(planned, seed, { id, vocabSize }))
      this.#arrive(index + 1)
    })
  }

  #sample(): void {
    this.#recorder.timelines.sample(this.#nowMs(), this.#cluster.loads())
    this.#world.schedule(this.#recorder.timelines.intervalMs, () => {
      if (this.#numEnded < this.#plan.requests.length) this.#sample()
    })
  }

  #onEnd(record: SimRequestRecord): void {
    const index = plannedIndex(record.requestId)
    this.#numEnded += 1
    this.#hasEnded[index] = 1
    this.#lastEndMs = this.#world.nowMs()
    this.#recorder.ended(outcomeOf(record, this.#plan.requests[index]!))
  }

  /** What is left is given time to let go of all it holds; requests that never ended have failed. */
  #rest(): void {
    this.#world.runFor(REST_MS)
    for (const planned of this.#plan.requests) if (this.#hasEnded[planned.index] === 0) this.#recorder.ended(unfinished(planned))
  }

  #nowMs(): number {
    return this.#world.nowMs() - this.#startMs
  }

  #isStuck(): boolean {
    const lastArrivalMs = this.#plan.requests.at(-1)?.arrivalMs ?? 0
    return this.#world.nowMs() > Math.max(this.#lastEndMs, this.#startMs + lastArrivalMs) + STUCK_MS
  }

  #check(): void {
    const { seed, variant, ratePerSec } = this.#options
    const [crash] = this.#cluster.crashes
    if (crash === undefined) return
    throw new RubatoError('sim_crashed', `variant ${variant.name}, seed ${seed}${ratePerSec === null ? '' : `, rate ${ratePerSec}`}: ${crash instanceof Error ? crash.message : 'an actor or engine threw'}`, { cause: crash })
  }

  #report(cutShort: boolean): TrialReport {
    const { variant, ratePerSec, seed } = this.#options
    const head: TrialHead = { variant: variant.name, rate: ratePerSec, seed }
    const loads = this.#cluster.loads()
    this.#recorder.timelines.see(loads)
    const owned = loads.reduce((sum, { load }) => sum + (load === null ? 0 : load.totalBlocks - load.freeBlocks - load.cachedBlocks), 0)
    return this.#recorder.report(head, {
      durationMs: (cutShort ? this.#world.nowMs() : this.#lastEndMs) - this.#startMs,
      blocksLeaked: cutShort ? 0 : owned,
      numCut: this.#plan.numCut,
      numRedrawn: this.#plan.numRedrawn,
      costPerHour: costPerHour(variant.fleet),
      powerW: powerW(variant.fleet),
    })
  }
}

function outcomeOf(record: SimRequestRecord, planned: PlannedRequest): RequestOutcome {
  const { arrivedMs, firstTokenMs, lastTokenMs, numTokens, end, error, timing } = record
  const since = (atMs: number | null): number | null => (atMs === null ? null : atMs - arrivedMs)
  return {
    planned, numTokens,
    end: end === 'finished' ? 'finished' : 'failed',
    error: error === null ? null : (error.split(':')[0] ?? error),
    ttftMs: since(firstTokenMs),
    e2eMs: since(lastTokenMs),
    numLost: record.numLostTokens,
    numDuplicated: record.numDuplicatedTokens,
    delayMs: timing?.queueMs ?? null,
    migrations: timing?.migrations ?? 0,
    recoveries: timing?.recoveries ?? 0,
    downtimeMs: timing === null || timing.migrations === 0 ? null : downtimeOf(record.gapsMs),
  }
}

function unfinished(planned: PlannedRequest): RequestOutcome {
  return {
    planned, end: 'failed', error: 'unfinished', ttftMs: null, e2eMs: null, numTokens: 0, numLost: 0, numDuplicated: 0, delayMs: null, migrations: 0, recoveries: 0, downtimeMs: null,
  }
}

/** The longest gap less the median one; null: it had none. */
function downtimeOf(gapsMs: Float32Array): number | null {
  return gapsMs.length === 0 ? null : Math.max(...gapsMs) - median([...gapsMs])
}
