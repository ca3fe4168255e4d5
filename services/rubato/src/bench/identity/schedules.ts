// The schedules that identity is tried under. What a schedule does to the shapes of runs decides which rule binds it.
import type { Engine } from '@rubato/model'
import { randomStream } from '@rubato/sim'
import type { IdentityRequest } from './identity-requests.ts'
import { RecordingEngine } from './recording-engine.ts'
import type { DrawnToken } from './recording-engine.ts'
import { replayOnInstance } from './replay-instance.ts'
import type { ReplayOptions } from './replay-instance.ts'
import { replayWithTrees } from './replay-trees.ts'

/** `keeps`: every run has the shape it has alone. `recomputes`: emitted tokens are computed again. `speculates`: drafts are verified. */
export type ScheduleKind = 'keeps' | 'recomputes' | 'speculates'

export interface ScheduleOutcome {
  readonly name: string
  readonly kind: ScheduleKind
  /** Draws by request seed. */
  readonly drawn: ReadonlyMap<number, readonly DrawnToken[]>
  readonly numSteps: number
  readonly preemptions: number
  readonly cachedTokens: number
  readonly acceptedDraftTokens: number
}

export interface ScheduleContext {
  readonly engine: Engine
  readonly requests: readonly IdentityRequest[]
  readonly seed: number
}

interface Schedule {
  readonly name: string
  readonly kind: ScheduleKind
  readonly run: (context: ScheduleContext, alone: ScheduleOutcome | null) => Promise<ScheduleOutcome>
}

const BUDGET_TOKENS = 8192
const FEW_SEQS = 3

export function blocksOf({ promptIds, sampling }: IdentityRequest, blockSize: number): number {
  return Math.ceil((promptIds.length + sampling.maxTokens) / blockSize)
}

/** Growth in blocks that the first requests of a tight pool have no room for. */
const MISSING_BLOCKS = 3

/** A pool just large enough for the prompts of the first few requests, which then outgrow it; the longest request fits it alone. */
function tightPool({ engine, requests }: ScheduleContext): number {
  const { blockSize } = engine.shape
  const longest = Math.max(...requests.map((request) => blocksOf(request, blockSize)))
  let promptBlocks = 0
  let growth = 0
  for (const request of requests) {
    const blocks = Math.ceil(request.promptIds.length / blockSize)
    promptBlocks += blocks
    growth += blocksOf(request, blockSize) - blocks
    if (growth >= MISSING_BLOCKS && promptBlocks >= longest) break
  }
  // One block is what admission leaves to running sequences.
  return Math.max(longest, promptBlocks + 1)
}

type InstanceSetting = Partial<ReplayOptions['limits']> & {
  readonly enablePrefixCache?: boolean
  readonly speculation?: string
  readonly requests?: (context: ScheduleContext) => readonly IdentityRequest[]
  readonly numBlocks?: (context: ScheduleContext) => number
  readonly budgetTokens?: (context: ScheduleContext) => number
}

function onInstance(name: string, kind: ScheduleKind, setting: InstanceSetting): Schedule {
  return {
    name,
    kind,
    run: async (context) => {
      const recording = new RecordingEngine(context.engine, setting.numBlocks?.(context))
      const counts = await replayOnInstance(recording, {
        limits: { maxNumSeqs: setting.maxNumSeqs ?? context.requests.length, maxNumBatchedTokens: setting.budgetTokens?.(context) ?? BUDGET_TOKENS },
        enablePrefixCache: setting.enablePrefixCache ?? false,
        requests: setting.requests?.(context) ?? context.requests,
        emittedOf: () => [],
        ...(setting.speculation === undefined ? {} : { speculation: setting.speculation }),
      })
      return outcomeOf({ name, kind }, recording, counts)
    },
  }
}

function outcomeOf({ name, kind }: Pick<Schedule, 'name' | 'kind'>, recording: RecordingEngine, counts: { readonly preemptions: number; readonly cachedTokens: number }): ScheduleOutcome {
  const { drawn, numSteps, numAcceptedNodes } = recording
  return { name, kind, drawn, numSteps, ...counts, acceptedDraftTokens: numAcceptedNodes }
}

function tokensOf(outcome: ScheduleOutcome | null, request: IdentityRequest): readonly DrawnToken[] {
  return outcome?.drawn.get(request.sampling.seed) ?? []
}

/** Every request arrives with a random part of its tokens already emitted elsewhere. */
const RECOVERY: Schedule = {
  name: 'recovery',
  kind: 'recomputes',
  run: async ({ engine, requests, seed }, alone) => {
    const random = randomStream(seed, 'recovery')
    const recording = new RecordingEngine(engine)
    const emitted = new Map<string, readonly number[]>()
    for (const request of requests) {
      const known = tokensOf(alone, request)
      const kept = known.slice(0, random.int(known.length))
      recording.drawn.set(request.sampling.seed, [...kept])
      emitted.set(request.requestId, kept.map(({ tokenId }) => tokenId))
    }
    const counts = await replayOnInstance(recording, {
      limits: { maxNumSeqs: requests.length, maxNumBatchedTokens: BUDGET_TOKENS },
      enablePrefixCache: false,
      requests,
      emittedOf: ({ requestId }) => emitted.get(requestId) ?? [],
    })
    return outcomeOf(RECOVERY, recording, counts)
  },
}

const TREES: Schedule = {
  name: 'random-trees',
  kind: 'speculates',
  run: async ({ engine, requests, seed }, alone) => {
    const recording = new RecordingEngine(engine)
    const rightOf = (request: IdentityRequest): readonly number[] => tokensOf(alone, request).map(({ tokenId }) => tokenId)
    await replayWithTrees({ engine: recording, requests, rightOf, random: randomStream(seed, 'trees') })
    return outcomeOf(TREES, recording, { preemptions: 0, cachedTokens: 0 })
  },
}

/** The first one is what the others are measured by: every request for itself, nothing cached. */
export const SCHEDULES: readonly Schedule[] = [
  onInstance('alone', 'keeps', { maxNumSeqs: 1 }),
  onInstance('together', 'keeps', {}),
  onInstance('reversed', 'keeps', { maxNumSeqs: FEW_SEQS, requests: ({ requests }) => requests.toReversed() }),
  onInstance('small-budget', 'keeps', { budgetTokens: ({ engine, requests }) => Math.max(engine.shape.cellTokens + 2, requests.length) }),
  onInstance('prefix-cache', 'keeps', { maxNumSeqs: FEW_SEQS, enablePrefixCache: true }),
  onInstance('preemption', 'recomputes', { numBlocks: tightPool }),
  RECOVERY,
  TREES,
  onInstance('lookups', 'speculates', { speculation: 'ngram' }),
]

/** Of an engine with a draft model. */
const DRAFTED: readonly Schedule[] = [
  onInstance('drafts-alone', 'speculates', { maxNumSeqs: 1, speculation: 'static:4' }),
  onInstance('drafts-auto', 'speculates', { speculation: 'auto' }),
  onInstance('drafts-adaserve', 'speculates', { maxNumSeqs: FEW_SEQS, speculation: 'adaserve', enablePrefixCache: true }),
]

/** Runs all schedules, one after another, on the same engine: what one leaves behind must not show in the next. */
export async function runSchedules(context: ScheduleContext, onProgress: (text: string) => void): Promise<readonly ScheduleOutcome[]> {
  const outcomes: ScheduleOutcome[] = []
  for (const schedule of context.engine.shape.canDraft === true ? [...SCHEDULES, ...DRAFTED] : SCHEDULES) {
    onProgress(schedule.name)
    outcomes.push(await schedule.run(context, outcomes[0] ?? null))
  }
  return outcomes
}
