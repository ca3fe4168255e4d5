// Drafts for synthetic engines: it knows their rule, so that every guess is right. For benchmarks and fault drills of everything around
// a draft model.
import type { EngineShape } from '@rubato/model'
import type { DraftCommand, DraftModelHost, DraftOutcome, DraftRun } from '@rubato/service-speculator'
import { syntheticTokens } from '@rubato/sim/synthetic'

interface Told {
  numTokens: number
  /** Prompt and everything that will be emitted. */
  readonly truth: readonly number[]
}

/** Computes next to nothing, on the calling thread. */
export function syntheticDrafter(vocabSize: number): DraftModelHost {
  const sequences = new Map<number, Told>()
  return {
    isUp: true,
    restartsTotal: 0,
    run: (command) => Promise.resolve(runOf(command, sequences, vocabSize)),
    close: () => Promise.resolve(),
  }
}

function runOf({ forget, introduce, append, draft, prepare }: DraftCommand, sequences: Map<number, Told>, vocabSize: number): DraftRun {
  const startMs = performance.now()
  for (const key of forget) sequences.delete(key)
  for (const { key, introduction: { promptTokens, sampling, sequence }, eosTokenIds, tokenIds } of introduce) {
    const shape: Pick<EngineShape, 'vocabSize' | 'eosTokenIds'> = { vocabSize, eosTokenIds }
    const promptIds = tokenIds.slice(0, promptTokens)
    sequences.set(key, { numTokens: tokenIds.length, truth: [...promptIds, ...syntheticTokens({ promptIds, sampling, sequence }, shape)] })
  }
  for (const { key, tokenIds } of append) sequences.get(key)!.numTokens += tokenIds.length
  const drafted = draft.map(({ key, depth, maxDepth }) => outcomeOf(key, chainOf(sequences.get(key)!, Math.min(depth, maxDepth))))
  const runMs = performance.now() - startMs
  return { outcomes: [...drafted, ...prepare.map(({ key }) => outcomeOf(key, []))], draftMs: runMs, runMs, cpuMs: runMs }
}

function chainOf({ numTokens, truth }: Told, depth: number): readonly number[] {
  return truth.slice(numTokens, numTokens + depth)
}

function outcomeOf(key: number, tokenIds: readonly number[]): DraftOutcome {
  const chain = { tokenIds, parents: tokenIds.map((_, node) => node - 1), ranks: tokenIds.map(() => 0), gaps: tokenIds.map(() => 1) }
  return { key, state: 'ready', tree: tokenIds.length === 0 ? null : chain }
}
