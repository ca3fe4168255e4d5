// `rubato plan fleet` as users run it: Mélange's file, profiles from files and from simulation. About 10 s of CPU.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@rubato/testing'
import type { FleetReport } from '../../planning/fleet/fleet-report.ts'
import { runRubato } from '../run-rubato.ts'

const DATA = path.resolve(import.meta.dirname, '../../../../../data/melange')
const TRACE = 'num_prefill_tokens,num_decode_tokens\n100,4\n200,30\n900,60\n100,250\n'

function configFile(folder: string, text: string): string {
  writeFileSync(path.join(folder, 'trace.csv'), TRACE)
  const file = path.join(folder, 'fleet.yaml')
  writeFileSync(file, text)
  return file
}

const readReport = (file: string): FleetReport => JSON.parse(readFileSync(file, 'utf8')) as FleetReport

test("Mélange's own file is planned as published", async (t) => {
  const json = path.join(temporaryFolder(t), 'plan.json')
  const { code, stdout, stderr } = await runRubato(['plan', 'fleet', '--config', path.join(DATA, 'config_example.json'), '--json', json])
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^30\.00 requests\/s for 6\.70 per hour, and no fleet is cheaper\.$/m)
  const { fleet, gap, single_types: singles, simulated } = readReport(json)
  assert.deepEqual([fleet.map(({ type, count }) => `${count} ${type}`), gap, simulated], [['3 A10G', '1 A100-80GB'], 0, null])
  assert.deepEqual(singles.map(({ saving }) => saving?.toFixed(3)), ['0.447', '0.087'])
})

const FROM_FILES = `
rate: 20
workload: {file: trace.csv}
grid: {input: [128, 1024], output: [4, 64, 256]}
headroom: 0
types:
  - {name: a100, profile: ${DATA}/simulator-llama2-7b-a100.json}
  - {name: a40, profile: ${DATA}/simulator-llama2-7b-a40.json, stock: 1}
`

test("AIBrix's profiles and a trace are planned, within stock", async (t) => {
  const folder = temporaryFolder(t)
  const json = path.join(folder, 'plan.json')
  const { code, stderr } = await runRubato(['plan', 'fleet', '--config', configFile(folder, FROM_FILES), '--json', json])
  assert.equal(code, 0, stderr)
  const { fleet, dispatch, single_types: singles } = readReport(json)
  assert.ok(fleet.every(({ count, load }) => load <= count + 1e-6) && fleet[1]!.count <= 1)
  assert.deepEqual(dispatch.map(({ input, output, rate }) => [input, output, rate]), [[128, 4, 5], [128, 256, 5], [1024, 64, 10]])
  assert.ok(singles.length === 2 && singles[1]!.outcome !== 'enough')
})

test('what no type can serve is the outcome, with exit code 1', async (t) => {
  const folder = temporaryFolder(t)
  const file = configFile(folder, FROM_FILES.replace('[4, 64, 256]', '[4, 64, 1024]'))
  const { code, stdout } = await runRubato(['plan', 'fleet', '--config', file])
  assert.equal(code, 1)
  assert.match(stdout, /^Infeasible: no type serves 128 \/ 1024 \(tokens in \/ out\) within the SLO\.$/m)
})

test('what is wrong in the file ends with its path and exit code 2', async (t) => {
  const folder = temporaryFolder(t)
  const misspelt = await runRubato(['plan', 'fleet', '--config', configFile(folder, FROM_FILES.replace('stock', 'stok'))])
  assert.equal(misspelt.code, 2)
  assert.match(misspelt.stderr, /^error: types\[1\]\.stok: .* did you mean stock\?\n$/)
})

const SIMULATED = `
rate: 2
workload: {file: trace.csv}
grid: {input: [1024], output: [32]}
types: [{name: a100, accelerator: a100-80gb}, {name: dear, accelerator: a100-80gb, usd_per_hour: 9}]
model: llama2-7b
slo: {ttft_ms: 2000, tpot_ms: 15}
num_requests: 40
profile_seconds: 2
`

test('types are profiled in simulation, the plan is simulated, and profiles that were saved give the same plan', async (t) => {
  const folder = temporaryFolder(t)
  const [json, again] = [path.join(folder, 'plan.json'), path.join(folder, 'again.json')]
  const { code, stderr } = await runRubato(['plan', 'fleet', '--config', configFile(folder, SIMULATED), '--json', json, '--save-profiles', folder, '--jobs', '2'])
  assert.equal(code, 0, stderr)
  const { fleet, cost_per_hour: cost, simulated } = readReport(json)
  assert.deepEqual([fleet[0]!.count > 0, fleet[1]!.count], [true, 0])
  assert.ok(simulated !== null && simulated.num_requests === 40 && simulated.attainment >= 0.995, JSON.stringify(simulated))
  const reused = SIMULATED.replace('a100-80gb}, {', 'a100-80gb, profile: a100.json}, {').replace('usd_per_hour: 9', 'usd_per_hour: 9, profile: dear.json')
  assert.equal((await runRubato(['plan', 'fleet', '--config', configFile(folder, reused), '--json', again])).code, 0)
  assert.equal(readReport(again).cost_per_hour, cost)
})
