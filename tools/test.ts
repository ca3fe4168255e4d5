// What `npm test` runs: type check, type-aware lint, layer boundaries, then every *.test.ts on node's own runner.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { checkBoundaries } from './boundaries.ts'

const root = path.resolve(import.meta.dirname, '..')
export const TEST_GLOBS: readonly string[] = ['libs/**/*.test.ts', 'services/**/*.test.ts', 'test/**/*.test.ts']

function run(name: string, command: string, args: readonly string[]): boolean {
  const startedAtMs = performance.now()
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (error !== undefined) console.error(`${name}: ${error.message}`)
  console.error(`[${name}] ${status === 0 ? 'ok' : 'FAILED'} in ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`)
  return status === 0
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
  const args = ['--test', '--test-timeout=240000', ...flags, ...(selected.length > 0 ? selected : TEST_GLOBS)]
  process.exit(run('tests', process.execPath, args) ? 0 : 1)
}
