// The requests that every schedule replays: drawn once from a seed, fully resolved.
import type { EngineShape, SamplingParams } from '@rubato/model'
import { randomStream } from '@rubato/sim'
import type { RandomStream } from '@rubato/sim'

export interface IdentityRequest {
  readonly requestId: string
  readonly promptIds: readonly number[]
  /** Its seed is unique among the requests. */
  readonly sampling: SamplingParams
}

export type IdentityShape = Pick<EngineShape, 'vocabSize' | 'cellTokens' | 'maxModelLen'>

const MIN_NEW_TOKENS = 32
const MAX_NEW_TOKENS = 96
/** Every third request begins with the same two cells. */
const SHARED_EVERY = 3
const SHARED_CELLS = 2
const TEMPERATURES: readonly number[] = [0, 0.7, 1]

const NEUTRAL: SamplingParams = {
  maxTokens: 1, minTokens: 0, temperature: 1, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1,
  logitBias: [], seed: 0, stopTokenIds: [], ignoreEos: true, logprobs: null,
}

function drawTokens(count: number, vocabSize: number, random: RandomStream): number[] {
  return Array.from({ length: count }, () => random.int(vocabSize))
}

/** Prompts of one to four cells, greedy and sampled, some with a common beginning; all fit the model's positions. */
export function identityRequests(count: number, seed: number, shape: IdentityShape): readonly IdentityRequest[] {
  const random = randomStream(seed, 'requests')
  const mostNew = Math.max(1, Math.min(MAX_NEW_TOKENS, Math.floor(shape.maxModelLen / 4)))
  const leastNew = Math.min(MIN_NEW_TOKENS, mostNew)
  const longestPrompt = Math.min(4 * shape.cellTokens, shape.maxModelLen - mostNew)
  const shared = drawTokens(Math.min(SHARED_CELLS * shape.cellTokens, longestPrompt - 1), shape.vocabSize, random)
  return Array.from({ length: count }, (_, index) => {
    const length = 1 + random.int(longestPrompt)
    const own = drawTokens(length, shape.vocabSize, random)
    const promptIds = index % SHARED_EVERY === 0 ? [...shared, ...own].slice(0, Math.max(length, shared.length + 1)) : own
    const maxTokens = leastNew + random.int(mostNew - leastNew + 1)
    const temperature = TEMPERATURES[index % TEMPERATURES.length]!
    const topK = index % 4 === 1 ? 40 : 0
    const topP = index % 5 === 2 ? 0.9 : 1
    return { requestId: `r${index}`, promptIds, sampling: { ...NEUTRAL, maxTokens, temperature, topK, topP, seed: seed * 1_000_003 + index } }
  })
}
