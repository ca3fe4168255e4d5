// What `npm test` runs: type check, type-aware lint, layer boundaries, then every *.test.ts on node's own runner.
//
// 1. It ends. Node limits a test and not its file, which goes on for as long as something is open there; files are not forced to exit,
//    as what stays open is a leak that should show. So the whole run has a limit: what is still there then is named and ended.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { checkBoundaries } from './boundaries.ts'

const root = path.resolve(import.meta.dirname, '..')
/** What it all takes on two idle cores is a fifteenth of this. */
const RUN_LIMIT_MS = 60 * 60_000
/** For node to name the files that still run, and to end them. */
const LAST_WORDS_MS = 5_000

export const TEST_GLOBS: readonly string[] = ['libs/**/*.test.ts', 'services/**/*.test.ts', 'test/**/*.test.ts']

function run(name: string, command: string, args: readonly string[]): boolean {
  const startedAtMs = performance.now()
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (error !== undefined) console.error(`${name}: ${error.message}`)
  console.error(`[${name}] ${status === 0 ? 'ok' : 'FAILED'} in ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`)
  return status === 0
}

/** In a process group of their own, so that they can be ended with all that they started. */
async function runTests(args: readonly string[]): Promise<boolean> {
  const startedAtMs = performance.now()
  const runner = spawn(process.execPath, args, { cwd: root, stdio: 'inherit', detached: true })
  const exited = once(runner, 'exit')
  const stop = async (reason: string): Promise<void> => {
    console.error(`[tests] ${reason}: what still runs is ended`)
    runner.kill('SIGTERM')
    await Promise.race([exited, delay(LAST_WORDS_MS, undefined, { ref: false })])
    killGroup(runner.pid!)
  }
  const limit = setTimeout(() => void stop(`not over after ${RUN_LIMIT_MS / 60_000} minutes`), RUN_LIMIT_MS)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(signal))
  const [status] = await exited
  clearTimeout(limit)
  console.error(`[tests] ${status === 0 ? 'ok' : 'FAILED'} in ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`)
  return status === 0
}

function killGroup(groupId: number): void {
  try {
    process.kill(-groupId, 'SIGKILL')
  } catch (error) {
    // Nobody is left in it.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function check(): boolean {
  const bin = path.join(root, 'node_modules/.bin')
  const types = run('types', path.join(bin, 'tsc'), ['--noEmit', '-p', 'tsconfig.json'])
  const lint = run('lint', path.join(bin, 'oxlint'), ['--type-aware', '--deny-warnings', 'libs', 'services', 'test', 'tools'])
  const problems = checkBoundaries(root)
  for (const problem of problems) console.error(problem)
  console.error(`[boundaries] ${problems.length === 0 ? 'ok' : 'FAILED'}`)
  return types && lint && problems.length === 0
}

if (import.meta.main) {
  const [first, ...rest] = process.argv.slice(2)
  const checkOnly = first === '--check-only'
  const extra = checkOnly ? rest : process.argv.slice(2)
  const selected = extra.filter((argument) => argument.endsWith('.ts'))
  const flags = extra.filter((argument) => !argument.endsWith('.ts'))
  const ok = check()
  if (!ok || checkOnly) process.exit(ok ? 0 : 1)
  // Tests of processes wait for leases and limits much of their time, so two files at once keep even one core busy.
  const args = ['--test', '--test-timeout=240000', `--test-concurrency=${Math.max(2, availableParallelism())}`, ...flags, ...(selected.length > 0 ? selected : TEST_GLOBS)]
  process.exit((await runTests(args)) ? 0 : 1)
}
