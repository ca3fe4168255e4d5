// What defaults and relative paths depend on.
import path from 'node:path'
import type { FlagSources } from './sources.ts'

export interface Machine {
  readonly availableParallelism: number
  readonly totalMemoryBytes: number
  readonly homeDir: string
  /** Folder that holds `models/`. */
  readonly repoRoot: string
  /** Relative paths of flags and variables start here. */
  readonly cwd: string
  readonly hostName: string
  readonly processId: number
  /** IP addresses that other machines may reach, IPv4 first. */
  readonly addresses: readonly string[]
}

/** `$XDG_CACHE_HOME/rubato`, else `~/.cache/rubato`; a relative XDG_CACHE_HOME counts as unset, as its specification says. */
export function defaultCacheDir(env: FlagSources['env'], homeDir: string): string {
  const xdg = env['XDG_CACHE_HOME'] ?? ''
  return path.join(path.isAbsolute(xdg) ? xdg : path.join(homeDir, '.cache'), 'rubato')
}

/** `decode-gpu7-4711`: no other process of this machine has it, and it tells an operator where to look. */
export function defaultInstanceId(command: string, { hostName, processId }: Machine): string {
  const host = (hostName.split('.')[0] ?? '').replaceAll(/[^A-Za-z0-9_-]/g, '-').slice(0, 40)
  return `${command}-${host === '' ? 'host' : host}-${processId}`
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}
