// Draws what clients ask: prompts that share beginnings, several choices, stop ids, deadlines, clients that leave.
import type { ClientRequest } from '@rubato/service-router'
import { SWARM_SHAPE } from './shape.ts'
import type { RandomStream } from '@rubato/sim'
import type { PlannedRequest } from './plan.ts'

const NUM_REQUESTS = 50
const NUM_SHARED_PROMPTS = 4
const SHARED_TOKENS = 16
const MAX_PROMPT_TOKENS = 44
/** One of the shared prompts begins with this token and those after it. */
const FIRST_SHARED_ID = 100
const FIRST_OWN_ID = 200
const NUM_OWN_IDS = 700
const LONG_PROMPT = [1, 2, 3, 4, 5]

export function drawRequests(random: RandomStream): readonly PlannedRequest[] {
  const meanGapMs = 10 + random.int(40)
  let arrivalMs = 0
  return Array.from({ length: NUM_REQUESTS + random.int(11) }, (_, index): PlannedRequest => {
    arrivalMs += Math.round(random.next() * 2 * meanGapMs)
    return { arrivalMs, request: drawRequest(random, `q${index}`), cancelAfterMs: random.next() < 0.1 ? random.int(400) : null, isImpatient: random.next() < 0.15 }
  })
}

function drawRequest(random: RandomStream, requestId: string): ClientRequest {
  const isLong = random.next() < 0.12
  return tokensRequest(requestId, drawPrompt(random), {
    maxTokens: 1 + random.int(isLong ? 90 : 20),
    seed: random.next() < 0.8 ? random.int(1e9) : null,
    temperature: random.next() < 0.8 ? 1 : 0,
    stopTokenIds: random.next() < 0.2 ? Array.from({ length: 30 }, () => random.int(SWARM_SHAPE.vocabSize)) : [],
    ignoreEos: random.next() < 0.7,
    // All choices of a request must fit the smallest instance.
    n: !isLong && random.next() < 0.25 ? 2 + random.int(2) : 1,
    tpotMs: random.next() < 0.4 ? 10 + random.int(40) : null,
    priority: random.int(3),
    cacheSalt: random.next() < 0.2 ? 'salt' : '',
    remainingMs: random.next() < 0.06 ? 20 + random.int(600) : null,
  })
}

function drawPrompt(random: RandomStream): readonly number[] {
  const first = FIRST_SHARED_ID + SHARED_TOKENS * random.int(NUM_SHARED_PROMPTS)
  return Array.from({ length: 1 + random.int(MAX_PROMPT_TOKENS) }, (_, place) => (place < SHARED_TOKENS ? first + place : FIRST_OWN_ID + random.int(NUM_OWN_IDS)))
}

interface Wanted {
  readonly maxTokens: number
  readonly seed: number | null
  readonly temperature: number
  readonly stopTokenIds: readonly number[]
  readonly ignoreEos: boolean
  readonly n: number
  readonly tpotMs: number | null
  readonly priority: number
  readonly cacheSalt: string
  readonly remainingMs: number | null
}

function tokensRequest(requestId: string, tokenIds: readonly number[], { maxTokens, seed, temperature, stopTokenIds, ignoreEos, tpotMs, ...fields }: Wanted): ClientRequest {
  return {
    requestId, model: '', input: { kind: 'tokens', tokenIds },
    sampling: {
      maxTokens, seed, temperature, stopTokenIds, ignoreEos, minTokens: 0, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0,
      repetitionPenalty: 1, logitBias: [], logprobs: null,
    },
    stop: [], slo: { ttftMs: null, tpotMs }, echo: false, resumeFrom: null, trace: null, ...fields,
  }
}

/** Requests that outlive a lease period by far, on an instance that works on little else: their clients leave early. */
export function longRequest(random: RandomStream, requestId: string): ClientRequest {
  return tokensRequest(requestId, LONG_PROMPT, {
    maxTokens: SWARM_SHAPE.maxModelLen - LONG_PROMPT.length, seed: random.int(1e9), temperature: 1, stopTokenIds: [], ignoreEos: true, n: 1, tpotMs: null, priority: 0, cacheSalt: '', remainingMs: null,
  })
}
