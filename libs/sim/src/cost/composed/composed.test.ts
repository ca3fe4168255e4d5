import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cell, decodes, together } from '../fixtures/step-works.ts'
import { loadOperatorTable } from '../data-files.ts'
import { openTimer, requireAccelerator, requireModel } from '../open-timer.ts'
import type { StepTimer } from '../step-timer.ts'
import { composedTimer } from './composed-timer.ts'
import { parseNetworkTable, ringAllReduce } from './network-table.ts'
import { parseOperatorTable, tabledLayerMs } from './operator-table.ts'
import { rooflineLayerMs } from './roofline.ts'
import { ceilToTile } from './tile.ts'

function timerOf(accelerator: string, model: string, tp = 1): StepTimer {
  return openTimer({ kind: 'composed' }, { accelerator, model, tp, pp: 1 })
}

function close(actual: number, expected: number, ratio = 1e-9, label = ''): void {
  assert.ok(Math.abs(actual - expected) <= ratio * Math.abs(expected), `${label} ${actual} is not ${expected}`)
}

test('a step is its parts: worked by hand', () => {
  // 100 layer rows at 0.01 ms, two all-reduces of 0.03 + 0.02 ms a layer, an output head of 2 * 1000 * 64 bytes at 1 GB/s.
  const model = { ...requireModel('llama2-7b'), numLayers: 2, hiddenSize: 64, numHeads: 4, numKvHeads: 2, headDim: 16, vocabSize: 1000 }
  const accelerator = { ...requireAccelerator('a100-80gb'), flopsPerSec: 1e9, memoryBytesPerSec: 1e9 }
  const reduced: number[] = []
  const allReduceMs = (bytes: number): number => (reduced.push(bytes), 0.03)
  const timer = composedTimer({ accelerator, model, tp: 1, layerMs: (rows) => 0.01 * rows, allReduceMs })
  const restMs = 2 * 2 * 0.05 + 0.128
  // A cell of 96 after 1,000: 96 * 1000 + 96 * 97 / 2 = 100,656 pairs of 4 * 2 * 4 * 16 = 512 FLOPs at half of 1 GFLOP/s.
  const cellMs = 100_656 * 512 * 2 * 1e-6
  close(timer.stepMs(cell(96, 1000)), 2 * 0.96 + restMs + cellMs)
  // Four decodes behind 2,000: 8,000 pairs, 8.192 ms; their KV: 8,000 * 2 * 2 * 2 * 16 * 2 bytes at 0.8 GB/s, 2.56 ms.
  close(timer.stepMs(decodes(4, 2000)), 2 * 0.04 + restMs + 8.192)
  close(timer.stepMs(together(cell(96, 1000), decodes(4, 2000))), 2 * 1 + restMs + cellMs + 8.192)
  assert.ok(reduced.includes(100 * 64 * 2))
  assert.equal(timer.stepMs({ cells: [], decodes: [] }), 0)
})

test('memory bounds decodes where compute is cheap, and a draft tree reads its context once', () => {
  const timer = timerOf('a100-80gb', 'mistral-7b')
  // 32 sequences, 3,000 more tokens each of 131,072 bytes at 80 % of 2,039 GB/s.
  close(timer.stepMs(decodes(32, 4000)) - timer.stepMs(decodes(32, 1000)), (1000 * 32 * 3000 * 131_072) / (0.8 * 2039e9), 1e-6)
  const [plainMs, verifyMs] = [timer.stepMs(decodes(8, 4000)), timer.stepMs(decodes(8, 4000, 7))]
  assert.ok(verifyMs > plainMs && verifyMs < 1.5 * plainMs, `${verifyMs} for ${plainMs}`)
})

test('257 tokens cost 1.2 to 1.4 times what 256 do, by the measured operators', (t) => {
  for (const [accelerator, model, tp] of [['a100-80gb', 'llama2-7b', 1], ['a100-80gb', 'mistral-7b', 1], ['a100-80gb-pcie', 'yi-34b', 2], ['h100-80gb', 'llama2-70b', 8]] as const) {
    const timer = timerOf(accelerator, model, tp)
    const ratio = timer.stepMs(cell(257)) / timer.stepMs(cell(256))
    t.diagnostic(`${model} on ${accelerator}, tp ${tp}: ${ratio.toFixed(3)}`)
    assert.ok(ratio >= 1.2 && ratio <= 1.4, `${model}: ${ratio}`)
  }
})

test('a step between two tiles costs what the upper one does', () => {
  assert.deepEqual([1, 8, 9, 64, 65, 128, 129, 257].map(ceilToTile), [8, 8, 16, 64, 128, 128, 256, 384])
  const layerMs = rooflineLayerMs(requireAccelerator('l4'), requireModel('llama3-8b'), 1)
  assert.equal(layerMs(257), layerMs(384))
  assert.ok(layerMs(385) > layerMs(384))
})

test('tables: a measured count is what was measured, the next higher one stands for those between, and larger ones follow its slope', () => {
  const names = ['input_layernorm', 'attn_pre_proj', 'attn_rope', 'attn_post_proj', 'post_attention_layernorm', 'mlp_up_proj', 'mlp_act', 'mlp_down_proj', 'add']
  const header = [...names.map((name) => `time_stats.${name}.median`), 'n_head', 'n_kv_head', 'n_embd', 'n_expanded_embd', 'use_gated_mlp', 'num_tokens', 'num_tensor_parallel_workers']
  const row = (tokens: number, ms: number): string => [...names.map(() => ms), 4, 2, 64, 128, 'True', tokens, 1].join(',')
  const table = parseOperatorTable([header.join(','), row(64, 1), row(128, 2), row(256, 4)].join('\n'))
  const own = tabledLayerMs(table, table.shape, 1)
  assert.deepEqual([64, 65, 128, 129, 256].map(own), [9, 18, 18, 36, 36])
  close(own(257), 36 + (128 * 18) / 128)
  // Twice the width in every way: projections take four times as long, the other five operators twice.
  const wide = tabledLayerMs(table, { ...table.shape, hiddenSize: 128, numHeads: 8, numKvHeads: 4, ffnSize: 256 }, 1)
  close(wide(64), 4 * 4 + 5 * 2)
  assert.throws(() => tabledLayerMs(table, table.shape, 2), RangeError)
})

test('the roofline stands in for a table within a tenth, in the mean', (t) => {
  for (const [file, accelerator, model] of [['a100_Llama-2-7b-hf', 'a100-80gb', 'llama2-7b'], ['h100_Llama-2-70b-hf', 'h100-80gb', 'llama2-70b'], ['a40_Llama-2-70b-hf', 'a40', 'llama2-70b']] as const) {
    const [tabled, roofline] = [tabledLayerMs(loadOperatorTable(file), requireModel(model), 1), rooflineLayerMs(requireAccelerator(accelerator), requireModel(model), 1)]
    const errors = [1, 8, 32, 64, 128, 256, 384, 512, 1024, 2048, 4096].map((tokens) => Math.abs(roofline(tokens) / tabled(tokens) - 1))
    const meanError = errors.reduce((sum, error) => sum + error, 0) / errors.length
    t.diagnostic(`${file}: mean ${(100 * meanError).toFixed(1)} %, worst ${(100 * Math.max(...errors)).toFixed(1)} %`)
    assert.ok(meanError < 0.1, `${file}: ${meanError}`)
  }
})

test('all-reduces: medians, no transfer slower than a larger one, and a ring made of sends', () => {
  const header = 'time_stats.send_recv.median,num_workers,size,devices_per_node'
  const curve = parseNetworkTable([header, '9,2,100,2', '2,2,200,2', '4,2,400,2', '6,2,400,2', '99,2,400,1'].join('\n'), 'send_recv', 2)
  assert.deepEqual([...curve.ys], [2, 2, 5])
  // Four devices: six sends of a quarter.
  assert.equal(ringAllReduce(curve, 4)(1600), 6 * 5)
  assert.throws(() => parseNetworkTable(`${header}\n1,2,100,2`, 'send_recv', 4), RangeError)
})

test('decodes at batch 32 behind 4,096 tokens take a fifth of the strict limits that Sarathi-Serve derived from its own', (t) => {
  for (const [accelerator, model, tp, limitMs] of [['a100-80gb', 'mistral-7b', 1, 100], ['a100-80gb-pcie', 'yi-34b', 2, 200]] as const) {
    const ms = timerOf(accelerator, model, tp).stepMs(decodes(32, 4096))
    t.diagnostic(`${model}: ${ms.toFixed(1)} ms, a fifth of the limit is ${limitMs / 5}`)
    assert.ok(Math.abs((5 * ms) / limitMs - 1) < 0.15)
  }
})
