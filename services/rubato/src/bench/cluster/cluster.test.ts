import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { temporaryFolder } from '@rubato/testing'
import { modeOf } from './cluster-options.ts'
import type { ClusterFlags } from './cluster-options.ts'

const MAIN = path.resolve(import.meta.dirname, '../../main.ts')

/** Command lines of all processes that belong to the benchmark with this pid. */
function processesOf(pid: number): string[] {
  if (!existsSync('/proc')) return []
  return readdirSync('/proc').flatMap((entry) => {
    try {
      const line = readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ')
      return line.includes(`bench-${pid} `) ? [line] : []
    } catch {
      return []
    }
  })
}

test('a run that is interrupted reports what was done and leaves no process behind', async (t) => {
  const json = path.join(temporaryFolder(t), 'report.json')
  const args = ['bench', 'cluster', '--prefill', '0', '--decode', '1', '--engine', 'synthetic:1', '--requests', '20000', '--concurrency', '4', '--input-len', '8', '--output-len', '4', '--json', json]
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  const lines: string[] = []
  const exited = once(child, 'exit')
  child.stdout.resume()
  for await (const line of createInterface({ input: child.stderr })) {
    lines.push(line)
    if (/ [1-9]\d*\/20000 done/.test(line)) break
  }
  child.stderr.resume()
  assert.ok(processesOf(child.pid!).length >= 2 || !existsSync('/proc'), lines.join('\n'))
  child.kill('SIGINT')
  assert.deepEqual(await exited, [130, null], lines.join('\n'))
  assert.deepEqual(processesOf(child.pid!), [])
  const report = JSON.parse(readFileSync(json, 'utf8')) as { mode: string; completed: number; failed: number; interrupted: number; usage: { processes: { name: string }[] } }
  assert.equal(report.mode, 'plain')
  assert.ok(report.completed > 0 && report.failed === 0 && report.interrupted <= 4, JSON.stringify({ ...report, usage: null }))
})

test('modes exclude each other', () => {
  const flags: ClusterFlags = { prefill: 1, decode: 1, engine: 'synthetic', requests: 1, concurrency: 1, inputLen: 1, outputLen: 1, seed: 1 }
  assert.equal(modeOf(flags), 'plain')
  assert.equal(modeOf({ ...flags, soak: 2 }), 'soak')
  assert.throws(() => modeOf({ ...flags, rolling: true, chaos: true }), { code: 'invalid_argument', field: '--chaos' })
})
