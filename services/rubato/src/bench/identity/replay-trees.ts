// Replays requests by direct engine steps with random draft trees, some of whose paths guess right.
import type { Decode, Engine, SequenceSpec, StepCommand, TokenTree } from '@rubato/model'
import type { RandomStream } from '@rubato/sim'
import type { IdentityRequest } from './identity-requests.ts'

const MAX_NODES = 7
const RIGHT_GUESS_RATIO = 0.7

/** A tree of up to seven nodes and `maxDepth` levels; nodes that go on along `right` mostly carry its token for their depth. */
export function randomTree(right: readonly number[], maxDepth: number, vocabSize: number, random: RandomStream): TokenTree | null {
  const tokenIds: number[] = []
  const parents: number[] = []
  const nodes: { readonly depth: number; readonly isRight: boolean }[] = []
  for (let attempts = random.int(MAX_NODES + 1); attempts > 0; attempts--) {
    const parent = random.int(nodes.length + 1) - 1
    const { depth, isRight } = nodes[parent] ?? { depth: 0, isRight: true }
    if (depth >= maxDepth) continue
    const guess = isRight && random.next() < RIGHT_GUESS_RATIO ? right[depth] : undefined
    tokenIds.push(guess ?? random.int(vocabSize))
    parents.push(parent)
    nodes.push({ depth: depth + 1, isRight: guess !== undefined })
  }
  return tokenIds.length === 0 ? null : { tokenIds, parents }
}

interface Live {
  readonly handle: number
  readonly request: IdentityRequest
  numEmitted: number
  isFinished: boolean
}

export interface TreeReplayOptions {
  /** Idle before and after; must hold all requests at once. */
  readonly engine: Engine
  readonly requests: readonly IdentityRequest[]
  /** What trees guess from. */
  readonly rightOf: (request: IdentityRequest) => readonly number[]
  readonly random: RandomStream
}

/** All requests at once, each step verifying a tree of its own per request. */
export async function replayWithTrees({ engine, requests, rightOf, random }: TreeReplayOptions): Promise<void> {
  const { vocabSize } = engine.shape
  const live = requests.map((request, handle): Live => ({ handle, request, numEmitted: 0, isFinished: false }))
  const prompts = promptSteps(engine, live)
  for (const parts of prompts) await step(engine, live, parts)
  for (;;) {
    const open = live.filter(({ isFinished }) => !isFinished)
    if (open.length === 0) break
    const decodes = open.map(({ handle, request, numEmitted }): Decode => {
      const maxDepth = request.sampling.maxTokens - numEmitted - 1
      return { handle, tree: randomTree(rightOf(request).slice(numEmitted), maxDepth, vocabSize, random), forced: false }
    })
    await step(engine, live, { decodes })
  }
  await step(engine, live, { release: live.map(({ handle }) => handle) })
}

type StepParts = Partial<Pick<StepCommand, 'admit' | 'appendBlocks' | 'cells' | 'decodes' | 'release'>>

/** One step per request: its admission, all its blocks, and its prompt in cells. */
function promptSteps(engine: Engine, live: readonly Live[]): StepParts[] {
  const { blockSize, cellTokens } = engine.shape
  let nextBlock = 0
  return live.map(({ handle, request }) => {
    const { promptIds, sampling } = request
    const spec: SequenceSpec = { handle, sequence: 0, promptIds, emittedIds: [], sampling }
    const blockIds = Array.from({ length: Math.ceil((promptIds.length + sampling.maxTokens) / blockSize) }, () => nextBlock++)
    const numCells = Math.ceil(promptIds.length / cellTokens)
    const cells = Array.from({ length: numCells }, (_, index) => {
      const start = index * cellTokens
      return { handle, start, count: Math.min(cellTokens, promptIds.length - start), sampleHandles: index === numCells - 1 ? [handle] : [] }
    })
    return { admit: [spec], appendBlocks: [{ handle, blockIds }], cells }
  })
}

async function step(engine: Engine, live: readonly Live[], parts: StepParts): Promise<void> {
  const empty = { admit: [], appendBlocks: [], copyBlocks: [], cells: [], decodes: [], release: [] }
  const result = await engine.execute({ kind: 'step', stepId: 0, ...empty, ...parts })
  if (result.kind !== 'step') return
  for (const { handle, tokenIds, finish } of result.tokens) {
    const sequence = live[handle]!
    sequence.numEmitted += tokenIds.length
    sequence.isFinished = finish !== null
  }
}
