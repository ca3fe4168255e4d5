// `rubato simulate` as users run it: a small scenario from file to report.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { temporaryFolder } from '@rubato/testing'
import type { ScenarioReport } from '../../simulated/report/scenario-report.ts'
import { runRubato } from '../run-rubato.ts'

const MAIN = path.resolve(import.meta.dirname, '../../main.ts')

const SCENARIO = `
name: small
description: two small fleets
primary_metric: slo_attainment
timer: distserve
variants:
  - name: colocated
    fleet: [{name: a, accelerator: a100-80gb, model: opt-13b, count: 2}]
    policies: {dispatch: jsq, migration: off}
  - name: pair
    fleet:
      - {name: p, accelerator: a100-80gb, model: opt-13b, role: prefill}
      - {name: d, accelerator: a100-80gb, model: opt-13b, role: decode}
workload: {lengths: {kind: lognormal, prompt: {median: 100, p90: 300}, output: {median: 10, p90: 20}}, arrivals: poisson, rate: 10, num_requests: 30}
slo: {ttft_ms: 250, tpot_ms: 100}
`

function scenarioFile(folder: string, text: string = SCENARIO): string {
  const file = path.join(folder, 'small.yaml')
  writeFileSync(file, text)
  return file
}

const readReport = (file: string): ScenarioReport => JSON.parse(readFileSync(file, 'utf8')) as ScenarioReport

test('a scenario runs to a table, JSON and HTML', async (t) => {
  const folder = temporaryFolder(t)
  const [json, html] = [path.join(folder, 'out.json'), path.join(folder, 'out.html')]
  const { code, stdout, stderr } = await runRubato(['simulate', scenarioFile(folder), '--json', json, '--html', html, '--seeds', '3..4', '--jobs', '2'])
  assert.equal(code, 0, stderr)
  assert.match(stdout, /Comparison by slo_attainment/)
  assert.match(stderr, /^\[simulate\] 100 %: 4\/4 trials, .* simulated, .*x real time$/m)
  const report = readReport(json)
  assert.deepEqual([report.complete, report.seeds, report.trials.length, report.comparison.length], [true, [3, 4], 4, 2])
  for (const trial of report.trials) {
    assert.deepEqual([trial.completed, trial.offered, trial.tokens_lost, trial.tokens_duplicated, trial.blocks_leaked], [30, 30, 0, 0, 0])
    assert.ok((trial.slo_attainment ?? 0) > 0.5 && (trial.ttft_ms.p50 ?? 0) > 0 && (trial.tbt_ms.p99 ?? 0) > 0, JSON.stringify(trial.ttft_ms))
  }
  assert.match(readFileSync(html, 'utf8'), /Queue per instance: pair/)
})

test('what is wrong in the file ends with its path and exit code 2', async (t) => {
  const refused = await runRubato(['simulate', scenarioFile(temporaryFolder(t), SCENARIO.replace('count: 2', 'cuont: 2'))])
  assert.deepEqual([refused.code, refused.stdout], [2, ''])
  assert.match(refused.stderr, /^error: variants\[0\]\.fleet\[0\]\.cuont: .*small\.yaml\) unknown field; did you mean count\?\n$/)
})

test('interrupted, it reports what is complete', async (t) => {
  const folder = temporaryFolder(t)
  const json = path.join(folder, 'o.json')
  const child = spawn(process.execPath, [MAIN, 'simulate', scenarioFile(folder), '--seeds', '1..100000', '--jobs', '1', '--json', json], { stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'exit')
  let isStopped = false
  for await (const line of createInterface({ input: child.stderr })) {
    if (isStopped || !/ [1-9]\d*\/200000 trials/.test(line)) continue
    isStopped = true
    child.kill('SIGINT')
  }
  assert.deepEqual(await exited, [130, null])
  const { complete, trials } = readReport(json)
  assert.equal(complete, false)
  assert.ok(trials.length >= 1 && trials.length < 200_000 && trials.every(({ completed }) => completed === 30))
})
