// Runs the command as users do: a process of its own, with none of our settings. For tests.
import { spawn } from 'node:child_process'
import path from 'node:path'
import process from 'node:process'
import { text } from 'node:stream/consumers'

const MAIN = path.resolve(import.meta.dirname, '../main.ts')

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Setting {
  readonly env?: Record<string, string>
  readonly cwd?: string
  readonly nodeArgs?: readonly string[]
}

/** Its exit code and all it wrote. RUBATO_* and NODE_OPTIONS of this process are not handed on. */
export async function runRubato(args: readonly string[], { env = {}, cwd = import.meta.dirname, nodeArgs = [] }: Setting = {}): Promise<Outcome> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('RUBATO_') && name !== 'NODE_OPTIONS')
  const child = spawn(process.execPath, [...nodeArgs, MAIN, ...args], { cwd, env: { ...Object.fromEntries(inherited), ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const { promise, resolve } = Promise.withResolvers<number | null>()
  child.on('exit', resolve)
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), promise])
  return { code, stdout, stderr }
}
