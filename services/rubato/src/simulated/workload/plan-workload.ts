// The plan of a run: every request that will arrive. A pure function of scenario, trace, rate and seed; lengths, arrivals and
// classes have random streams of their own, so that two rates or variants with one seed see the same requests.
import { randomStream } from '@rubato/sim'
import type { RandomStream } from '@rubato/sim'
import type { TraceRow } from '../../bench/serve/dataset/trace-rows.ts'
import type { RequestClass, WorkloadSpec } from '../scenario/scenario.ts'
import { drawArrivals } from './arrival-times.ts'
import { lengthsSource } from './lengths.ts'
import type { Lengths } from './lengths.ts'
import type { PlannedRequest, Targets } from './planned-request.ts'

export interface WorkloadPlan {
  /** In order of arrival. */
  readonly requests: readonly PlannedRequest[]
  /** Requests whose lengths were cut to the model's. */
  readonly numCut: number
  /** Draws that were thrown away because they were longer than that. */
  readonly numRedrawn: number
}

export interface PlanContext {
  readonly seed: number
  /** null: a trace's own speed. */
  readonly ratePerSec: number | null
  /** Longest prompt and output together. */
  readonly maxModelLen: number
  /** Of the trace; empty where lengths come from elsewhere. */
  readonly rows: readonly TraceRow[]
  /** Of requests whose class has none of its own. */
  readonly targetsOf: (lengths: Pick<Lengths, 'promptTokens' | 'outputTokens'>) => Targets
}

/** A distribution that never yields a length that fits must not hang the plan. */
const MAX_REDRAWS = 1000

export function planWorkload(spec: WorkloadSpec, context: PlanContext): WorkloadPlan {
  const { seed, ratePerSec, rows, targetsOf } = context
  const plan = { numRequests: spec.numRequests, durationMs: spec.durationS === null ? null : spec.durationS * 1000, ratePerSec }
  const arrivals = drawArrivals(spec.arrivals, plan, rows, randomStream(seed, 'arrivals'))
  const lengths = fittingLengths(spec, context)
  const classes = randomStream(seed, 'classes')
  const requests = arrivals.map((arrivalMs, index): PlannedRequest => {
    const drawn = lengths.next()
    const one = spec.classes === null ? null : drawClass(spec.classes, classes)
    return { index, arrivalMs, ...drawn, className: one?.name ?? null, priority: one?.priority ?? 0, targets: one?.slo ?? targetsOf(drawn) }
  })
  return { requests, ...lengths.counts() }
}

interface FittingLengths {
  next(): Lengths
  counts(): Pick<WorkloadPlan, 'numCut' | 'numRedrawn'>
}

function fittingLengths(spec: WorkloadSpec, { seed, maxModelLen, rows }: PlanContext): FittingLengths {
  const draw = lengthsSource(spec.lengths, rows, randomStream(seed, 'lengths'))
  let [numCut, numRedrawn] = [0, 0]
  const next = (): Lengths => {
    let drawn = draw()
    for (let tries = 0; spec.overLength === 'redraw' && tries < MAX_REDRAWS && isTooLong(drawn, maxModelLen); tries++) {
      numRedrawn += 1
      drawn = draw()
    }
    if (!isTooLong(drawn, maxModelLen)) return drawn
    numCut += 1
    return cut(drawn, maxModelLen)
  }
  return { next, counts: () => ({ numCut, numRedrawn }) }
}

function isTooLong({ promptTokens, outputTokens }: Lengths, maxModelLen: number): boolean {
  return promptTokens + outputTokens > maxModelLen
}

/** The prompt gives way first. */
function cut({ promptTokens, outputTokens, blockIds }: Lengths, maxModelLen: number): Lengths {
  const output = Math.min(outputTokens, maxModelLen - 1)
  return { promptTokens: Math.min(promptTokens, maxModelLen - output), outputTokens: output, blockIds }
}

/** By its share. */
function drawClass(classes: readonly RequestClass[], random: RandomStream): RequestClass {
  let left = random.between(0, classes.reduce((sum, { share }) => sum + share, 0))
  for (const one of classes) {
    left -= one.share
    if (left < 0) return one
  }
  return classes.at(-1)!
}
