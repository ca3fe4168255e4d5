// The plan of a run: every request that will be offered, a pure function of options, seed and (for mixed-slo) the baseline.
import { InvalidArgument } from '@rubato/config'
import { randomStream } from '@rubato/sim'
import type { RandomStream } from '@rubato/sim'
import type { DatasetOptions, SloClass } from '../options.ts'
import { drawClass, targetsOf } from './mixed-slo.ts'
import type { Baseline } from './mixed-slo.ts'
import type { PlannedRequest } from './planned-request.ts'
import { Excerpts, readPromptText } from './prompt-text.ts'
import { RandomPrompts } from './random-prompts.ts'
import { planTrace } from './trace.ts'
import { readTrace } from './trace-rows.ts'

export interface PlanContext {
  readonly seed: number
  /** The endpoint takes text only (chat). */
  readonly asText: boolean
  /** `mixed-slo` needs one; null elsewhere. */
  readonly baseline: Baseline | null
}

const NO_BASELINE: Baseline = { tpotMs: null, ttftMsOf: {} }

/** Uniform over whole numbers in [floor(length * (1 - ratio)), ceil(length * (1 + ratio))], at least 1. */
export function drawLength(length: number, ratio: number, random: RandomStream): number {
  const low = Math.floor(length * (1 - ratio))
  const high = Math.ceil(length * (1 + ratio))
  return Math.max(1, low + random.int(high - low + 1))
}

function planRandom(options: DatasetOptions, { seed, asText }: PlanContext): PlannedRequest[] {
  const lengths = randomStream(seed, 'lengths')
  const prompts = new RandomPrompts(options, seed, asText)
  const shared = options.prefixTokens === 0 ? [] : [{ stream: 'prefix', tokens: options.prefixTokens }]
  return Array.from({ length: options.numPrompts }, (_, index) => {
    const own = drawLength(options.inputTokens, options.rangeRatio, lengths)
    const maxTokens = drawLength(options.outputTokens, options.rangeRatio, lengths)
    const input = prompts.make([...shared, { stream: `request/${index}`, tokens: own }])
    return { index, className: null, input, promptTokens: options.prefixTokens + own, maxTokens, arrivalMs: null, slo: null }
  })
}

interface ExcerptRequest {
  readonly index: number
  readonly inputTokens: number
  readonly outputTokens: number
}

/** A request for the continuation of a piece of natural text. */
function excerptRequest(wanted: ExcerptRequest, excerpts: Excerpts, lengths: RandomStream, options: DatasetOptions): PlannedRequest {
  const promptTokens = drawLength(wanted.inputTokens, options.rangeRatio, lengths)
  const maxTokens = drawLength(wanted.outputTokens, options.rangeRatio, lengths)
  const text = excerpts.next(Math.ceil(promptTokens * options.charsPerToken))
  return { index: wanted.index, className: null, input: { kind: 'text', text }, promptTokens, maxTokens, arrivalMs: null, slo: null }
}

function planShakespeare(options: DatasetOptions, { seed }: PlanContext): PlannedRequest[] {
  const lengths = randomStream(seed, 'lengths')
  const excerpts = new Excerpts(readPromptText(options.path), randomStream(seed, 'excerpts'))
  const { inputTokens, outputTokens } = options
  return Array.from({ length: options.numPrompts }, (_, index) => excerptRequest({ index, inputTokens, outputTokens }, excerpts, lengths, options))
}

function planMixedSlo(options: DatasetOptions, { seed, baseline }: PlanContext): PlannedRequest[] {
  const [classes, lengths] = [randomStream(seed, 'classes'), randomStream(seed, 'lengths')]
  const excerpts = new Excerpts(readPromptText(options.path), randomStream(seed, 'excerpts'))
  return Array.from({ length: options.numPrompts }, (_, index) => {
    const one = drawClass(options.classes, classes)
    const request = excerptRequest({ index, inputTokens: one.inputTokens, outputTokens: one.outputTokens }, excerpts, lengths, options)
    return { ...request, className: one.name, slo: targetsOf(one, baseline ?? NO_BASELINE) }
  })
}

/** Requests of one class that measure the baseline; text that the run itself does not repeat. */
export function planCalibration(one: SloClass, options: DatasetOptions, seed: number): PlannedRequest[] {
  const lengths = randomStream(seed, `calibration/lengths/${one.name}`)
  const excerpts = new Excerpts(readPromptText(options.path), randomStream(seed, `calibration/${one.name}`))
  const { name: className, inputTokens, outputTokens } = one
  return Array.from({ length: options.calibrationRequests }, (_, index) => ({
    ...excerptRequest({ index, inputTokens, outputTokens }, excerpts, lengths, options), className,
  }))
}

function planTraceFile(options: DatasetOptions, { seed, asText }: PlanContext): PlannedRequest[] {
  if (options.path === null) throw new InvalidArgument('--dataset-path', 'is required with --dataset-name trace')
  return planTrace(readTrace(options.path), options, new RandomPrompts(options, seed, asText))
}

/** Requests in order of arrival. Throws InvalidArgument naming the flag at fault. */
export function planRequests(options: DatasetOptions, context: PlanContext): PlannedRequest[] {
  switch (options.name) {
    case 'random':
      return planRandom(options, context)
    case 'shakespeare':
      return planShakespeare(options, context)
    case 'trace':
      return planTraceFile(options, context)
    case 'mixed-slo':
      return planMixedSlo(options, context)
  }
}
