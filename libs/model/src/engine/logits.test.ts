import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadReference, seededRandom, testSeed } from '@rubato/testing'
import type { Reference, SeededRandom, TinyCheckpointOptions } from '@rubato/testing'
import { TinyEngine, outcome, spec } from './fixtures/tiny-engine.ts'
import type { TokenTree } from './step.ts'

const TOLERANCE = 2e-4
const LLAMA3 = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 }

const CHECKPOINTS: Readonly<Record<string, TinyCheckpointOptions>> = {
  'Llama': {},
  'Llama, tied': { tied: true },
  'Llama, biases': { attentionBias: true, mlpBias: true },
  'Llama, llama3 rope': { ropeScaling: LLAMA3, spelling: 'modern', ropeTheta: 500000 },
  'Llama, linear rope': { ropeScaling: { type: 'linear', factor: 4 } },
  'Llama, float16': { dtype: 'float16' },
  'Llama, bfloat16, tied, sharded': { dtype: 'bfloat16', tied: true, sharded: true },
  'Llama, one head per KV head': { numKvHeads: 4 },
  'Llama, one KV head': { numKvHeads: 1 },
  'Llama, one head': { numHeads: 1, numKvHeads: 1 },
  'Llama, seven heads per KV head': { numHeads: 14, numKvHeads: 2, headDim: 8 },
  'Llama, head size of its own': { headDim: 80 },
  'Llama, smallest heads': { headDim: 2 },
  'Llama, odd widths': { hiddenSize: 50, intermediateSize: 67, headDim: 14, numHeads: 5, numKvHeads: 1, vocabSize: 131 },
  'Mistral, derived head size': { architecture: 'MistralForCausalLM', headDim: 'derived' },
  'Qwen2': { architecture: 'Qwen2ForCausalLM', tied: true },
  'Qwen2, float16': { architecture: 'Qwen2ForCausalLM', dtype: 'float16' },
  'Qwen3': { architecture: 'Qwen3ForCausalLM', headDim: 32 },
  'Qwen3, tied, biases, bfloat16': { architecture: 'Qwen3ForCausalLM', tied: true, attentionBias: true, dtype: 'bfloat16' },
  'three layers': { numLayers: 3 },
  'one layer': { numLayers: 1 },
}

function randomIds(random: SeededRandom, count: number, vocabSize = 131): number[] {
  return Array.from({ length: count }, () => random.int(vocabSize))
}

function randomTree(random: SeededRandom, numNodes: number): TokenTree {
  return { tokenIds: randomIds(random, numNodes), parents: Array.from({ length: numNodes }, (_, node) => random.int(node + 1) - 1) }
}

/** The reference's rows of a tree below the last of `tokenIds`: that token's row, then each node's. */
function treeRows(reference: Reference, tokenIds: readonly number[], tree: TokenTree): Float64Array[] {
  const root = tokenIds.length - 1
  const path = (node: number): number[] => (node < 0 ? [] : [...path(tree.parents[node]!), node])
  const paths = tree.tokenIds.map((_, node) => path(node))
  const logits = reference.forward({
    tokenIds: [...tokenIds, ...tree.tokenIds],
    positions: [...tokenIds.keys(), ...paths.map((nodes) => root + nodes.length)],
    attends: (query, key) => (query <= root || key <= root ? key <= query : paths[query - root - 1]!.includes(key - root - 1)),
  })
  return logits.slice(root)
}

function assertRows(rows: Float32Array, expected: readonly Float64Array[], name: string): void {
  assert.equal(rows.length, expected.length * expected[0]!.length, `${name}: number of logits`)
  let worst = 0
  for (const [place, row] of expected.entries()) {
    for (let id = 0; id < row.length; id++) worst = Math.max(worst, Math.abs(rows[place * row.length + id]! - row[id]!))
  }
  assert.ok(worst < TOLERANCE, `${name}: logits differ by ${worst}`)
}

for (const [name, options] of Object.entries(CHECKPOINTS)) {
  test(`${name}: prompt, decodes and a draft tree agree with the reference`, async (t) => {
    const random = seededRandom(11)
    const engine = await TinyEngine.open(t, options)
    const reference = loadReference(engine.modelDir)
    const tokenIds = randomIds(random, 21)
    const first = outcome(await engine.prefill(spec(1, tokenIds), 24), 1)
    const rows = [first.rows]
    tokenIds.push(...first.tokenIds)
    for (let step = 0; step < 4; step++) {
      const next = outcome(await engine.decode(1), 1)
      rows.push(next.rows)
      tokenIds.push(...next.tokenIds)
    }
    const expected = reference.forward({ tokenIds: tokenIds.slice(0, -1) }).slice(20)
    for (const [step, row] of rows.entries()) assertRows(row, [expected[step]!], `row ${step}`)
    const tree = randomTree(random, 6)
    const verified = outcome(await engine.verify(1, tree), 1)
    assertRows(verified.rows, treeRows(reference, tokenIds, tree), 'tree')
    tokenIds.push(...verified.tokenIds)
    assertRows(outcome(await engine.decode(1), 1).rows, [reference.forward({ tokenIds }).at(-1)!], 'after the tree')
  })
}

for (const [blockSize, cellTokens] of [[8, 8], [8, 16], [8, 24], [16, 16], [24, 48]] as const) {
  test(`prompts of every length, blocks of ${blockSize} and cells of ${cellTokens}`, async (t) => {
    const engine = await TinyEngine.open(t, {}, { blockSize, cellTokens })
    const tokenIds = randomIds(seededRandom(blockSize), 50)
    const expected = loadReference(engine.modelDir).forward({ tokenIds })
    for (let length = 1; length <= tokenIds.length; length++) {
      const { rows } = outcome(await engine.prefill(spec(length, tokenIds.slice(0, length)), 0), length)
      assertRows(rows, [expected[length - 1]!], `${length} tokens`)
    }
  })
}

test('cells, decodes and trees of several sequences in one step agree with the reference', async (t) => {
  const seed = testSeed(23)
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  const engine = await TinyEngine.open(t, { numKvHeads: 1 })
  const reference = loadReference(engine.modelDir)
  const sequences: number[][] = []
  for (let step = 0; step < 7; step++) {
    const trees = sequences.map(() => (random.next() < 0.3 ? null : randomTree(random, random.int(9))))
    const order = [...sequences.keys()].sort(() => random.next() - 0.5)
    const prompt = randomIds(random, 1 + random.int(40))
    const handle = sequences.length
    const result = await engine.step({
      admit: [spec(handle, prompt)],
      appendBlocks: [{ handle, blockIds: engine.takeBlocks(Math.ceil((prompt.length + 70) / engine.shape.blockSize)) }],
      cells: engine.cells(handle, prompt.length),
      decodes: order.map((other) => ({ handle: other, tree: trees[other]!, forced: false })),
    })
    sequences.push(prompt)
    for (const [other, tokenIds] of sequences.entries()) {
      const { rows, tokenIds: emitted } = outcome(result, other)
      assertRows(rows, treeRows(reference, tokenIds, trees[other] ?? { tokenIds: [], parents: [] }), `step ${step}, sequence ${other}`)
      tokenIds.push(...emitted)
    }
  }
})

test('a tree that holds the continuation is accepted along it and leaves its keys and values', async (t) => {
  const engine = await TinyEngine.open(t, {})
  const reference = loadReference(engine.modelDir)
  const prompt = randomIds(seededRandom(3), 13)
  const plain = [...outcome(await engine.prefill(spec(1, prompt), 16), 1).tokenIds]
  for (let step = 0; step < 8; step++) plain.push(...outcome(await engine.decode(1), 1).tokenIds)
  const tokenIds = [...prompt, ...outcome(await engine.prefill(spec(2, prompt), 16), 2).tokenIds]
  const [, a, b, c] = plain as [number, number, number, number]
  const wrong = (tokenId: number): number => (tokenId + 1) % 131
  const tree = { tokenIds: [wrong(a), a, wrong(b), b, b, wrong(c), c, wrong(c)], parents: [-1, -1, 1, 1, 0, 3, 3, 6] }
  const verified = outcome(await engine.verify(2, tree), 2)
  assertRows(verified.rows, treeRows(reference, tokenIds, tree), 'tree')
  tokenIds.push(...verified.tokenIds)
  for (let step = 0; step < 4; step++) {
    const { rows, tokenIds: emitted } = outcome(await engine.decode(2), 2)
    assertRows(rows, [reference.forward({ tokenIds }).at(-1)!], `decode ${step} after the tree`)
    tokenIds.push(...emitted)
  }
  assert.equal(verified.tokenIds.length, 4, 'three nodes were accepted')
  assert.deepEqual(tokenIds.slice(prompt.length), plain.slice(0, 9))
})

test('choices share the prompt by block and by copy, and a prefix hit reads the blocks of another', async (t) => {
  const engine = await TinyEngine.open(t, {})
  const reference = loadReference(engine.modelDir)
  const random = seededRandom(4)
  const prompt = randomIds(random, 21)
  const handles = [0, 1, 2]
  const [shared, own] = [engine.takeBlocks(2), handles.map(() => engine.takeBlocks(3))]
  const sequences = new Map(handles.map((handle) => [handle, [...prompt]]))
  const first = await engine.step({
    admit: handles.map((sequence) => spec(sequence, prompt, { sequence, sampling: { ...spec(0, []).sampling, temperature: 1.5, seed: 9 } })),
    appendBlocks: handles.map((handle) => ({ handle, blockIds: [...shared, ...own[handle]!] })),
    cells: engine.cells(0, prompt.length, 0, handles),
  })
  for (const [handle, tokenIds] of sequences) tokenIds.push(...outcome(first, handle).tokenIds)
  const hit = [...prompt.slice(0, 16), ...randomIds(random, 11)]
  sequences.set(3, hit)
  for (let step = 0; step < 6; step++) {
    const result = await engine.step({
      ...(step === 0 ? { copyBlocks: [1, 2].map((handle) => ({ from: own[0]![0]!, to: own[handle]![0]! })) } : {}),
      ...(step === 2 ? { admit: [spec(3, hit)], appendBlocks: [{ handle: 3, blockIds: [...shared, ...engine.takeBlocks(4)] }], cells: engine.cells(3, hit.length, 16) } : {}),
      decodes: [...handles, ...(step > 2 ? [3] : [])].map((handle) => ({ handle, tree: null, forced: false })),
    })
    for (const [handle, tokenIds] of sequences) {
      if (handle === 3 && step < 2) continue
      const { rows, tokenIds: emitted } = outcome(result, handle)
      assertRows(rows, [reference.forward({ tokenIds }).at(-1)!], `step ${step}, sequence ${handle}`)
      tokenIds.push(...emitted)
    }
  }
  assert.equal(new Set(handles.map((handle) => sequences.get(handle)!.join())).size, 3, 'the choices differ')
})

test('a draft may reach past the longest sequence', async (t) => {
  const engine = await TinyEngine.open(t, {}, { maxModelLen: 32 })
  const reference = loadReference(engine.modelDir)
  const tokenIds = randomIds(seededRandom(5), 30)
  tokenIds.push(...outcome(await engine.prefill(spec(1, tokenIds), 2), 1).tokenIds)
  const tree = { tokenIds: [1, 2, 3, 4], parents: [-1, 0, 1, 2] }
  const result = await engine.verify(1, tree)
  const { rows, tokenIds: emitted } = outcome(result, 1)
  assertRows(rows.subarray(0, 2 * engine.shape.vocabSize), treeRows(reference, tokenIds, tree).slice(0, 2), 'nodes inside')
  assert.deepEqual([emitted.length, result.tokens[0]?.finish], [1, 'length'])
})

for (const name of ['Llama, tied', 'Llama, biases', 'Llama, odd widths', 'Llama, smallest heads', 'Qwen2, float16', 'Qwen3, tied, biases, bfloat16']) {
  test(`${name}, int8: prompt and decodes stay near the reference`, async (t) => {
    const engine = await TinyEngine.open(t, CHECKPOINTS[name]!, { dtype: 'int8' })
    const tokenIds = randomIds(seededRandom(12), 21)
    const first = outcome(await engine.prefill(spec(1, tokenIds), 16), 1)
    tokenIds.push(...first.tokenIds)
    const last = outcome(await engine.decode(1), 1)
    const expected = loadReference(engine.modelDir).forward({ tokenIds })
    for (const [place, { rows }] of [first, last].entries()) {
      const exact = expected[20 + place]!
      const meanSquare = (value: (id: number) => number): number => exact.reduce((sum, _, id) => sum + value(id) ** 2, 0) / exact.length
      const error = Math.sqrt(meanSquare((id) => exact[id]! - rows[id]!) / meanSquare((id) => exact[id]!))
      assert.ok(error < 0.05, `row ${place}: relative error ${error}`)
    }
  })
}
