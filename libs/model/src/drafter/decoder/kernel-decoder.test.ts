import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { FRESH_CALIBRATION } from '@rubato/policy'
import { seededRandom, temporaryFolder, testSeed, writeTinyCheckpoint } from '@rubato/testing'
import type { TinyCheckpointOptions } from '@rubato/testing'
import { loadCheckpoint } from '../../checkpoint/index.ts'
import { GREEDY } from '../../engine/fixtures/tiny-engine.ts'
import { SequenceSampler } from '../../sampling/index.ts'
import type { Candidate } from '../../sampling/sampler.ts'
import { DraftModel } from '../draft-model.ts'
import type { DraftTree } from '../draft-tree.ts'
import { openGraphRunner, openKernelRunner } from '../open-draft-model.ts'

const TOLERANCE = 1e-3
const VOCAB = 131
const LIMITS = { depth: 4, width: 3, calibration: FRESH_CALIBRATION }
const LLAMA3 = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 }

const CHECKPOINTS: Readonly<Record<string, TinyCheckpointOptions>> = {
  'Llama': {},
  'Llama, tied, float16': { tied: true, dtype: 'float16' },
  'Llama, biases, llama3 rope': { attentionBias: true, mlpBias: true, ropeScaling: LLAMA3, spelling: 'modern', ropeTheta: 500000 },
  'Llama, odd widths, one KV head': { hiddenSize: 50, intermediateSize: 67, headDim: 12, numHeads: 5, numKvHeads: 1 },
  'Llama, large heads of their own': { headDim: 80, numHeads: 6, numKvHeads: 3 },
  'Mistral, one head per KV head, linear rope': { architecture: 'MistralForCausalLM', headDim: 'derived', numKvHeads: 4, ropeScaling: { type: 'linear', factor: 4 } },
  'Qwen2, bfloat16, sharded': { architecture: 'Qwen2ForCausalLM', dtype: 'bfloat16', sharded: true, tied: true },
  'Qwen3, biases, three layers': { architecture: 'Qwen3ForCausalLM', headDim: 32, attentionBias: true, numLayers: 3 },
  'one layer': { numLayers: 1 },
}

/** Keeps every row that a draft chooses from, by path. */
class RecordingSampler extends SequenceSampler {
  readonly rows = new Map<string, Float32Array>()

  override candidatesAt(logits: Float32Array, position: number, pathTokens: readonly number[], width: number): readonly Candidate[] {
    this.rows.set(pathTokens.join(), logits.slice())
    return super.candidatesAt(logits, position, pathTokens, width)
  }
}

async function openBoth(t: TestContext, checkpoint: TinyCheckpointOptions): Promise<Record<'kernels' | 'graph', DraftModel>> {
  const modelDir = writeTinyCheckpoint(temporaryFolder(t), { vocabSize: VOCAB, ...checkpoint })
  const loaded = await loadCheckpoint(modelDir)
  const options = { modelDir, vocabSize: VOCAB, maxModelLen: 320, blockSize: 8, kvCacheBytes: 2 ** 22, intraOpThreads: 1 }
  const graph = await openGraphRunner(loaded, options)
  t.after(graph.close)
  return { kernels: new DraftModel(openKernelRunner(loaded, options).runner), graph: new DraftModel(graph.runner) }
}

interface Sequence {
  readonly handle: number
  readonly tokens: number[]
}

async function proposals(draft: DraftModel, sequences: readonly Sequence[]): Promise<{ readonly trees: DraftTree[]; readonly rows: readonly RecordingSampler['rows'][] }> {
  const samplers = sequences.map(({ tokens }) => new RecordingSampler(GREEDY, { vocabSize: VOCAB, eosTokenIds: [] }, 0, tokens, []))
  const trees = await draft.propose(sequences.map((sequence, index) => ({ ...sequence, sampler: samplers[index]!, maxDepth: 4 + (index % 2) })), LIMITS)
  draft.assertIntegrity()
  return { trees, rows: samplers.map((sampler) => sampler.rows) }
}

/** Commits `depth` nodes along a tree's likeliest path, and then some tokens of no tree. */
function commit(sequence: Sequence, tree: DraftTree, depth: number, others: readonly number[]): void {
  let at = -1
  for (let level = 0; level < depth; level += 1) {
    at = tree.parents.indexOf(at)
    sequence.tokens.push(tree.tokenIds[at]!)
  }
  sequence.tokens.push(...others)
}

for (const [name, checkpoint] of Object.entries(CHECKPOINTS)) {
  test(`${name}: kernels draft as the graph does, whatever was accepted before`, async (t) => {
    const random = seededRandom(testSeed(91))
    const { kernels, graph } = await openBoth(t, checkpoint)
    const randomIds = (count: number): number[] => Array.from({ length: count }, () => random.int(VOCAB))
    const sequences = [1, 9, 100, 137].map((length, handle) => ({ handle, tokens: randomIds(length) }))
    for (let round = 0; round < 6; round += 1) {
      const [mine, theirs] = [await proposals(kernels, sequences), await proposals(graph, sequences)]
      for (const index of sequences.keys()) {
        assert.deepEqual(mine.trees[index]!.tokenIds, theirs.trees[index]!.tokenIds)
        assert.deepEqual([...mine.rows[index]!.keys()], [...theirs.rows[index]!.keys()])
        let worst = 0
        for (const [nodes, row] of theirs.rows[index]!) for (const [id, logit] of row.entries()) worst = Math.max(worst, Math.abs(logit - mine.rows[index]!.get(nodes)![id]!))
        assert.ok(worst < TOLERANCE, `sequence ${index}, round ${round}: logits differ by ${worst}`)
      }
      for (const [index, sequence] of sequences.entries()) {
        const tree = mine.trees[index]!
        const depth = Math.min(random.int(6), deepestAlongFirst(tree))
        commit(sequence, tree, depth, randomIds(random.next() < 0.2 ? 12 : random.int(3)))
      }
    }
  })
}

/** Nodes on the path of first children. */
function deepestAlongFirst({ parents }: DraftTree): number {
  let depth = 0
  for (let at = parents.indexOf(-1); at >= 0; at = parents.indexOf(at)) depth += 1
  return depth
}
