// `rubato plan placement` for OPT-13B on two GPUs, where there is one placement. About 2 s.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@rubato/testing'
import type { PlacementReport } from '../../planning/placement/run-placement.ts'
import { runRubato } from '../run-rubato.ts'

const TRACE = path.resolve(import.meta.dirname, '../../../../../data/distserve/sharegpt_opt13b_n300.csv')
const CONFIG = `
model: opt-13b
rate: 10
workload: {file: ${TRACE}, num_requests: 100}
gpus_per_node: 2
slo: {ttft_ms: 1000, tpot_ms: 100}
kv_gbps: 200
`

test('a pair is planned, and as many as the rate takes', async (t) => {
  const folder = temporaryFolder(t)
  const [file, json] = [path.join(folder, 'placement.yaml'), path.join(folder, 'plan.json')]
  writeFileSync(file, CONFIG)
  const { code, stdout, stderr } = await runRubato(['plan', 'placement', '--config', file, '--json', json])
  assert.equal(code, 0, stderr)
  const { pairs, tried, complete, transfer_ms_per_token: transferMs } = JSON.parse(readFileSync(json, 'utf8')) as PlacementReport
  assert.ok(complete && pairs !== null && tried.length === 1)
  assert.deepEqual([pairs.prefill, pairs.decode, pairs.gpus], [{ tp: 1, pp: 1 }, { tp: 1, pp: 1 }, 2])
  assert.equal(pairs.count, Math.ceil(10 / (2 * pairs.rate_per_gpu)))
  // 2 x 40 layers x 5,120 numbers of 16 bits over 200 Gbit/s.
  assert.ok(Math.abs(transferMs - (2 * 40 * 5120 * 2 * 8) / 200e6) < 1e-9)
  assert.match(stdout, /^10 requests\/s take \d+ x \(prefill tp 1, pp 1; decode tp 1, pp 1\) = \d+ GPUs\.$/m)
})

test('a model without profiles is refused', async (t) => {
  const file = path.join(temporaryFolder(t), 'placement.yaml')
  writeFileSync(file, CONFIG.replace('opt-13b', 'mistral-7b').replace(/file: [^,]*/, `file: ${TRACE}`))
  const { code, stderr } = await runRubato(['plan', 'placement', '--config', file])
  assert.equal(code, 2)
  assert.match(stderr, /^error: model: DistServe measured nothing for mistral-7b; .*opt-13b/)
})
