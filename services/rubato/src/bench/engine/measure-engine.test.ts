import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import type { StepResult } from '@rubato/model'
import { writeTinyCheckpoint } from '@rubato/testing'
import { benchEngineCommand } from './command.ts'
import { coldCacheReport, measureColdCache } from './cold-cache/measure-cold-cache.ts'
import type { EngineReport } from './engine-report.ts'
import { renderEngineReport } from './engine-report.ts'
import { contextsOf, hostShare, roomTokens } from './measure-engine.ts'

let folder = ''
let modelDir = ''

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rubato-bench-'))
  modelDir = writeTinyCheckpoint(path.join(folder, 'model'), { maxPositions: 512 })
})
after(() => rmSync(folder, { recursive: true, force: true }))

/** Runs the command with its output kept off the terminal. */
async function run(...flags: readonly string[]): Promise<void> {
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = () => true
  try {
    await benchEngineCommand().parseAsync(['--model', modelDir, '--cache-dir', folder, ...flags], { from: 'user' })
  } finally {
    process.stdout.write = write
  }
}

test('the report has every figure of the contract, for each batch asked for', async () => {
  const file = path.join(folder, 'report.json')
  await run('--batches', '1,3', '--repeats', '2', '--json', file)
  const report = JSON.parse(readFileSync(file, 'utf8')) as EngineReport
  assert.deepEqual(Object.keys(report).toSorted(), ['decode', 'dtype', 'host_share', 'load_ms', 'model', 'prefill', 'rss_mb', 'threads', 'verify'])
  assert.deepEqual([report.model, report.dtype, report.threads], [modelDir, 'float32', 1])
  assert.deepEqual(report.decode.map(({ batch }) => batch), [1, 3])
  assert.deepEqual(report.verify.map(({ batch, nodes }) => [batch, nodes]), [[1, 8], [3, 8]])
  for (const { batch, step_ms, tokens_per_s } of report.decode) assert.ok(Math.abs(tokens_per_s / ((1000 * batch) / step_ms) - 1) < 0.01)
  for (const { cpu_ms, step_ms } of [...report.decode, ...report.verify]) assert.ok(cpu_ms >= 0 && step_ms > 0)
  assert.equal(report.prefill[0]!.cell, 128)
  assert.ok(report.host_share <= 1 && report.load_ms > 0 && report.rss_mb > 0)
  assert.match(renderEngineReport(report), /verify/)
})

test('contexts are 512 for one request and spread around a mean of 544 for more', () => {
  const repeats = 40
  assert.deepEqual(contextsOf(1, null, repeats, 4096), [492])
  const spread = contextsOf(16, null, repeats, 4096)
  assert.equal(spread.reduce((sum, context) => sum + context, 0) / 16 + repeats / 2, 544)
  assert.deepEqual([spread[0], spread.at(-1)], [44, 1004])
  assert.deepEqual(contextsOf(2, 256, repeats, 4096), [236, 236])
  for (const context of contextsOf(8, null, 2, 200)) assert.ok(context >= 1 && context + roomTokens(2) <= 200)
})

test('the host share is what the runs leave of the CPU time', () => {
  const step = (cpuMs: number, runCpuMs: number): StepResult => ({ kind: 'step', stepId: 1, tokens: [], stepMs: 1, runMs: 1, cpuMs, runCpuMs })
  assert.equal(hostShare([step(10, 9), step(30, 27)]), 1 - 36 / 40)
  assert.equal(hostShare([step(0, 0)]), 0)
})

test('wrong flags are refused by name', async () => {
  await assert.rejects(run('--batches', '1,x'), { field: 'batches' })
  await assert.rejects(run('--repeats', '0'), { field: 'repeats' })
  await assert.rejects(run('--quantization', 'int3'), { field: 'quantization' })
})

test('nine tenths of the arena are cold while the batch of a full cache decodes', async () => {
  const plan = { modelDir, dtype: 'float32', threads: 1, cacheDir: folder, onProgress: () => {}, batch: 4, pairs: 3, seed: 7 } as const
  const report = await measureColdCache(plan)
  assert.ok(report.cold_blocks / report.total_blocks > 0.85, `${report.cold_blocks} of ${report.total_blocks}`)
  assert.ok(report.hit_blocks > 0 && report.pairs === 3 && report.low <= report.high)
})

test('a cold cache fails only when the whole interval lies past the limit', () => {
  const facts = { batch: 16, seed: 1, coldBlocks: 90, numBlocks: 100, hitBlocks: 5 }
  const slower = (ratio: number) => coldCacheReport(Array.from({ length: 30 }, (_, i) => [ratio * (10 + (i % 3)), 10 + (i % 3)] as const), facts)
  const fine = slower(1.05)
  assert.deepEqual([fine.ratio, fine.exceeded, fine.cold_cpu_ms, fine.empty_cpu_ms], [1.05, false, 11.55, 11])
  assert.equal(slower(1.5).exceeded, true)
  const noisy = coldCacheReport([[10, 10], [30, 10], [9, 10], [11, 10], [14, 10]], facts)
  assert.deepEqual([noisy.ratio, noisy.exceeded], [1.1, false])
})
