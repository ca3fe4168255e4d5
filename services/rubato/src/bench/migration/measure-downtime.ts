// How long a stream stands still when its request moves between two instances of this process.
import type { ClientRequest, RequestTiming } from '@rubato/service-router'
import type { RandomStream } from '@rubato/sim'
import type { EmbeddedCluster } from '../../embedded/cluster.ts'
import { median } from '../statistics.ts'

/** `live`: staged copies while it decodes. `stop-and-copy`: it stands still for the whole copy, the baseline. */
export type MoveMode = 'live' | 'stop-and-copy'

export interface MoveRun {
  readonly mode: MoveMode
  readonly contextTokens: number
  /** The gap in which it moved less the median gap of the same stream; null: it did not move. */
  readonly downtimeMs: number | null
  readonly medianGapMs: number
  /** From leaving the one batch to the word of the other instance, as the source measured it; null: it did not move. */
  readonly standstillMs: number | null
  /** What computing the same context anew would take: the prompt of this very request, with a cold prefix. */
  readonly recomputeMs: number
}

export interface MovePlan {
  readonly mode: MoveMode
  readonly contextTokens: number
  readonly label: string
}

export interface Hand {
  move(requestId: string, maxStages: number): void
  /** Standstill of all moves so far. */
  standstillMs(): Promise<number>
}

/** Tokens before the move, and all. */
const MOVE_AT = 20
const NUM_TOKENS = 48
/** Tokens within which a move that was told has ended. */
const WINDOW_TOKENS = 20

/** One request, moved once. Rejects when it fails. */
export async function measureMove(cluster: EmbeddedCluster, hand: Hand, { mode, contextTokens, label }: MovePlan, random: RandomStream): Promise<MoveRun> {
  const promptIds = Array.from({ length: contextTokens - MOVE_AT }, () => 300 + random.int(600))
  const before = await hand.standstillMs()
  const startMs = performance.now()
  const arrivedMs: number[] = []
  const timing = await run(cluster, requestOf(label, promptIds), () => {
    arrivedMs.push(performance.now())
    if (arrivedMs.length === MOVE_AT) hand.move(label, mode === 'live' ? 3 : 0)
  })
  const gaps = arrivedMs.slice(1).map((atMs, index) => atMs - arrivedMs[index]!)
  const medianGapMs = median(gaps)
  const longest = Math.max(...gaps.slice(MOVE_AT - 1, MOVE_AT - 1 + WINDOW_TOKENS))
  const standstillMs = (await hand.standstillMs()) - before
  const hasMoved = timing.migrations > 0
  return { mode, contextTokens, downtimeMs: hasMoved ? longest - medianGapMs : null, medianGapMs, standstillMs: hasMoved ? standstillMs : null, recomputeMs: arrivedMs[0]! - startMs }
}

/** Decodes until `signal` aborts, request after request: the batch that a moved request joins. */
export async function keepBusy(cluster: EmbeddedCluster, label: string, random: RandomStream, signal: AbortSignal): Promise<void> {
  for (let turn = 0; !signal.aborted; turn++) {
    const promptIds = Array.from({ length: 32 }, () => 300 + random.int(600))
    await run(cluster, { ...requestOf(`${label}-${turn}`, promptIds), priority: -1 }, () => {})
  }
}

function run(cluster: EmbeddedCluster, request: ClientRequest, onToken: () => void): Promise<RequestTiming> {
  const { promise, resolve, reject } = Promise.withResolvers<RequestTiming>()
  cluster.router.submit(request, (event) => {
    if (event.kind === 'delta') onToken()
    else if (event.kind === 'finished') resolve(event.timing)
    else if (event.kind === 'failed') reject(new Error(`${request.requestId} failed: ${event.error.message}`))
  })
  return promise
}

function requestOf(requestId: string, tokenIds: readonly number[]): ClientRequest {
  return {
    requestId, model: '', input: { kind: 'tokens', tokenIds },
    sampling: {
      maxTokens: NUM_TOKENS, minTokens: 0, temperature: 0, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1, logitBias: [], seed: 0,
      stopTokenIds: [], ignoreEos: true, logprobs: null,
    },
    n: 1, stop: [], slo: { ttftMs: null, tpotMs: null }, priority: 0, cacheSalt: '', remainingMs: null, echo: false, resumeFrom: null, trace: null,
  }
}
