// Measures decode, verify and prefill of one engine by real steps of scratch sequences.
import process from 'node:process'
import type { StepResult, TokenTree } from '@rubato/model'
import { SCRATCH_SAMPLING, ScratchArena, ScratchBatch, canHold, scratchTree } from '@rubato/model/engine'
import { median } from '../statistics.ts'
import type { EngineCpu } from './engine-cpu.ts'
import { rounded } from './engine-report.ts'
import type { EngineReport } from './engine-report.ts'
import type { BenchEngine } from './open-engine.ts'

export interface MeasurePlan {
  readonly batches: readonly number[]
  /** Contexts, each for all sequences of a batch; null: 512 for one request, else spread evenly over 64..1024. */
  readonly contexts: readonly number[] | null
  /** Timed steps per figure; fewer when they take longer than two seconds. */
  readonly repeats: number
  readonly temperature: number
  readonly onProgress: (text: string) => void
}

/** Rows of a verify per request: the root and seven drafts. */
const VERIFY_ROWS = 8
const PREFILL_TOKENS = 512
const WARM_STEPS = 3
const MIN_STEPS = 5
const MAX_FIGURE_MS = 2000
const HOST_SHARE_BATCH = 16
/** Tokens that a sequence gains per step at most: a drawn one, and a path of the scratch tree. */
const STEP_TOKENS = 4

interface Figure {
  readonly stepMs: number
  readonly cpuMs: number
  readonly steps: readonly StepResult[]
}

export function roomTokens(repeats: number): number {
  return (repeats + WARM_STEPS) * STEP_TOKENS
}

/** Contexts of a batch such that the timed steps lie around the wanted ones. */
export function contextsOf(batch: number, wanted: number | null, repeats: number, maxModelLen: number): readonly number[] {
  const most = maxModelLen - roomTokens(repeats)
  const centred = (tokens: number): number => Math.max(1, Math.min(Math.round(tokens), most) - Math.floor(repeats / 2))
  if (wanted !== null || batch === 1) return Array.from({ length: batch }, () => centred(wanted ?? 512))
  const last = Math.min(1024, most)
  return Array.from({ length: batch }, (_, i) => centred(64 + (i * Math.max(0, last - 64)) / (batch - 1)))
}

/** Blocks that the largest batch of the plan takes. */
export function blocksFor(plan: MeasurePlan, maxModelLen: number, blockSize: number): number {
  const totals = (plan.contexts ?? [null]).flatMap((wanted) => plan.batches.map((batch) =>
    contextsOf(batch, wanted, plan.repeats, maxModelLen).reduce((sum, context) => sum + Math.ceil((context + roomTokens(plan.repeats)) / blockSize), 0)))
  return Math.max(...totals)
}

/** Runs `step` until there are `repeats` of it, or two seconds and five steps have passed. */
async function timed(cpu: EngineCpu, repeats: number, step: () => Promise<StepResult>): Promise<Figure> {
  for (let i = 0; i < Math.min(WARM_STEPS, repeats); i++) await step()
  const steps: StepResult[] = []
  const threadCpuMs = await cpu.spentMs(async () => {
    let spentMs = 0
    while (steps.length < repeats && (steps.length < MIN_STEPS || spentMs < MAX_FIGURE_MS)) {
      const result = await step()
      steps.push(result)
      spentMs += result.stepMs
    }
    return steps.reduce((sum, { cpuMs }) => sum + cpuMs, 0)
  })
  return { stepMs: median(steps.map(({ stepMs }) => stepMs)), cpuMs: threadCpuMs / steps.length, steps }
}

async function timedBatch({ engine, cpu }: BenchEngine, arena: ScratchArena, contexts: readonly number[], repeats: number, tree: TokenTree | null): Promise<Figure | null> {
  const options = { contexts, roomTokens: roomTokens(repeats) }
  if (!canHold(engine.shape, options)) return null
  const batch = await ScratchBatch.open(arena, options)
  const figure = await timed(cpu, repeats, () => batch.decode(tree))
  await batch.close()
  return figure
}

async function timedPrefill({ engine, cpu }: BenchEngine, arena: ScratchArena, repeats: number): Promise<EngineReport['prefill'][number]> {
  const { cellTokens, maxModelLen } = engine.shape
  const numCells = Math.max(1, Math.floor(Math.min(PREFILL_TOKENS, maxModelLen) / cellTokens))
  const batch = await ScratchBatch.open(arena, { contexts: [Math.min(numCells * cellTokens, maxModelLen)], roomTokens: 0 })
  const count = Math.min(cellTokens, maxModelLen)
  let next = 0
  const passes = Math.max(1, Math.ceil(repeats / 8))
  const figure = await timed(cpu, passes * numCells, () => batch.cell((next++ % numCells) * cellTokens, count))
  await batch.close()
  const passMs: number[] = []
  for (let at = 0; at + numCells <= figure.steps.length; at += numCells) passMs.push(figure.steps.slice(at, at + numCells).reduce((sum, { stepMs }) => sum + stepMs, 0))
  return { cell: count, tokens_per_s: rounded((1000 * count * numCells) / median(passMs)), cpu_ms_per_token: rounded(figure.cpuMs / count) }
}

/** Share of the thread's CPU that is spent outside model runs. */
export function hostShare(steps: readonly StepResult[]): number {
  const cpuMs = steps.reduce((sum, step) => sum + step.cpuMs, 0)
  return cpuMs === 0 ? 0 : 1 - steps.reduce((sum, { runCpuMs }) => sum + runCpuMs, 0) / cpuMs
}

function meanContext(contexts: readonly number[], repeats: number): number {
  return Math.round(contexts.reduce((sum, context) => sum + context, 0) / contexts.length + Math.floor(repeats / 2))
}

/** All figures but those of the process and of loading. Batches that the engine cannot hold are left out, with a word. */
export async function measureEngine(bench: BenchEngine, plan: MeasurePlan): Promise<Pick<EngineReport, 'decode' | 'verify' | 'prefill' | 'host_share'>> {
  const { shape } = bench.engine
  const arena = new ScratchArena(bench.engine, { ...SCRATCH_SAMPLING, temperature: plan.temperature })
  const decode: EngineReport['decode'][number][] = []
  const verify: EngineReport['verify'][number][] = []
  let shareOf: { readonly batch: number; readonly share: number } = { batch: 0, share: 0 }
  for (const { batch, wanted } of figuresOf(plan)) {
    const contexts = contextsOf(batch, wanted, plan.repeats, shape.maxModelLen)
    const context = meanContext(contexts, plan.repeats)
    plan.onProgress(`batch ${batch}, context ${context}`)
    const plain = await timedBatch(bench, arena, contexts, plan.repeats, null)
    const tree = await timedBatch(bench, arena, contexts, plan.repeats, scratchTree(VERIFY_ROWS - 1, shape.vocabSize))
    if (plain === null || tree === null) {
      plan.onProgress(`batch ${batch} at context ${context} does not fit the model's ${shape.maxModelLen} positions or the arena: left out`)
      continue
    }
    decode.push({ batch, context, step_ms: rounded(plain.stepMs), cpu_ms: rounded(plain.cpuMs), tokens_per_s: rounded((1000 * batch) / plain.stepMs) })
    verify.push({ batch, nodes: VERIFY_ROWS, context, step_ms: rounded(tree.stepMs), cpu_ms: rounded(tree.cpuMs) })
    if (batch > shareOf.batch && batch <= HOST_SHARE_BATCH) shareOf = { batch, share: hostShare(plain.steps) }
  }
  plan.onProgress('prefill')
  return { decode, verify, prefill: [await timedPrefill(bench, arena, plan.repeats)], host_share: rounded(shareOf.share) }
}

function figuresOf({ batches, contexts }: MeasurePlan): { readonly batch: number; readonly wanted: number | null }[] {
  return (contexts ?? [null]).flatMap((wanted) => batches.map((batch) => ({ batch, wanted })))
}

/** The whole report of an engine that was just opened. */
export async function engineReport(bench: BenchEngine, plan: MeasurePlan, about: Pick<EngineReport, 'model' | 'dtype' | 'threads'>): Promise<EngineReport> {
  const figures = await measureEngine(bench, plan)
  return { ...about, ...figures, load_ms: rounded(bench.engine.load.loadMs), rss_mb: rounded(process.memoryUsage().rss / 2 ** 20) }
}

