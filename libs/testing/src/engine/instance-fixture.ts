// An instance actor on a memory engine with small, readable numbers: blocks of 4 tokens, cells of 8.
import { InstanceActor } from '@rubato/instance'
import type { GenerateMessage, InstanceConfig } from '@rubato/instance'
import type { EngineShape, SamplingParams } from '@rubato/model'
import { InstanceDriver } from './instance-driver.ts'
import { MemoryEngine, referenceTokens } from './memory-engine.ts'
import type { MemoryEngineOptions } from './memory-engine.ts'
import { mixHash } from './token-rule.ts'

export const SMALL_SHAPE: EngineShape = {
  modelFingerprint: 'memory', blockSize: 4, cellTokens: 8, numBlocks: 64, blockBytes: 1024, vocabSize: 1000, maxModelLen: 256, eosTokenIds: [0], replay: 'cells',
}

export const PLAIN_SAMPLING: SamplingParams = {
  maxTokens: 6, minTokens: 0, temperature: 1, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1,
  logitBias: [], seed: 1, stopTokenIds: [], ignoreEos: true, logprobs: null,
}

export interface GenerateOptions extends Partial<Omit<GenerateMessage, 'kind' | 'sampling'>> {
  readonly sampling?: Partial<SamplingParams>
  readonly n?: number
  /** Prompt tokens 1, 2, 3, ... when promptIds is not given; 10 unless told. */
  readonly promptLen?: number
}

/** A generate message with everything filled in. */
export function generateMessage(requestId: string, options: GenerateOptions = {}): GenerateMessage {
  const { sampling, n = 1, promptLen = 10, ...fields } = options
  return {
    kind: 'generate',
    requestId,
    epoch: { recovery: 0, hop: 0 },
    promptIds: Array.from({ length: promptLen }, (_, place) => place + 1),
    emittedIds: Array.from({ length: n }, () => []),
    finishedSequences: [],
    sampling: { ...PLAIN_SAMPLING, ...sampling },
    slo: { ttftMs: null, tpotMs: null },
    priority: 0,
    cacheSalt: '',
    remainingMs: null,
    recovered: false,
    handOffTo: null,
    trace: null,
    ...fields,
  }
}

/** What each choice of the request must emit, whatever the schedule. */
export function expectedChoice(message: GenerateMessage, sequence: number, shape: EngineShape): readonly number[] {
  return referenceTokens({ promptIds: message.promptIds, sequence, sampling: message.sampling }, shape)
}

/** All decodes, then cells first come first served under the cap; one cell always runs when nothing else does. */
export const firstComeBatching: InstanceConfig['batching'] = ({ decodes, prefills, maxBatchedTokens }) => {
  let left = maxBatchedTokens - decodes.length
  const cells: { handle: number; numCells: number }[] = []
  for (const { handle, cellTokens } of prefills) {
    let numCells = 0
    for (const tokens of cellTokens) {
      const isOnlyWork = decodes.length === 0 && cells.length === 0 && numCells === 0
      if (tokens > left && !isOnlyWork) break
      left -= tokens
      numCells++
    }
    if (numCells > 0) cells.push({ handle, numCells })
    if (numCells < cellTokens.length) break
  }
  return { runDecodes: true, cells, budgetTokens: maxBatchedTokens }
}

/** Two 32-bit chains: short strings without cryptography. */
export function testHashBlock(parent: string, tokenIds: readonly number[]): string {
  let low = 17
  let high = 91
  const letters = Array.from({ length: parent.length }, (_, place) => parent.charCodeAt(place))
  for (const value of [...letters, ...tokenIds]) {
    low = mixHash(low, value)
    high = mixHash(high, value + 7)
  }
  return `${(low >>> 0).toString(16)}.${(high >>> 0).toString(16)}`
}

export interface InstanceFixtureOptions extends Partial<Omit<InstanceConfig, 'shape'>> {
  readonly shape?: Partial<EngineShape>
  /** Of its engine's draft model. @default it has none */
  readonly engine?: MemoryEngineOptions
}

/** A started actor in a driver that checks its integrity after every transition. */
export function instanceFixture(options: InstanceFixtureOptions = {}): InstanceDriver {
  const { engine: engineOptions, ...config } = options
  const engine = new MemoryEngine({ ...SMALL_SHAPE, ...options.shape }, engineOptions)
  const { shape } = engine
  const actor = new InstanceActor({
    instanceId: 'i1',
    address: 'instance/i1',
    incarnation: 1,
    batching: firstComeBatching,
    limits: { maxNumSeqs: 8, maxNumBatchedTokens: 32 },
    hashBlock: testHashBlock,
    rootHash: (cacheSalt) => `root:${cacheSalt}`,
    enablePrefixCache: true,
    ...config,
    shape,
  })
  const driver = new InstanceDriver(actor, engine)
  driver.afterReceive = () => actor.assertIntegrity()
  return driver
}
