// Layer boundaries: which package may import which. Nx sees only declared dependencies, so imports are checked here.
import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'

/** Lower layers first; a package imports only packages of lower layers. Tests and their fixtures may also use `testing`. */
const LAYERS: readonly (readonly string[])[] = [
  ['config'],
  ['policy', 'kv'],
  ['model', 'actor'],
  ['instance', 'bus', 'rpc', 'telemetry'],
  ['testing'],
  ['runtime', 'sim', 'plan'],
]
const SERVICES = LAYERS.length
const COMPOSITION_ROOT = 'service-rubato'
/** Packages that must stay free of the platform: no node built-ins at all. */
const PURE = new Set(['policy', 'kv'])
/** node built-ins that an actor package may use: none of them reads a clock, a socket or the environment. */
const PURE_BUILTINS = new Set(['node:assert', 'node:assert/strict'])

const IMPORT = /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s*['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/g

function layerOf(name: string): number {
  if (name.startsWith('service-')) return SERVICES
  return LAYERS.findIndex((layer) => layer.includes(name))
}

function mayImport(from: string, to: string, isTest: boolean): boolean {
  if (from === to) return true
  if (isTest && to === 'testing') return true
  if (to.startsWith('service-')) return from === COMPOSITION_ROOT
  return layerOf(to) < layerOf(from)
}

function* sources(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name)
    if (entry.isDirectory() && entry.name !== 'node_modules') yield* sources(full)
    else if (entry.isFile() && entry.name.endsWith('.ts')) yield full
  }
}

function packagesOf(root: string): { name: string; folder: string }[] {
  const list = (kind: string, prefix: string) =>
    readdirSync(path.join(root, kind), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => ({ name: prefix + entry.name, folder: path.join(root, kind, entry.name) }))
  return [...list('libs', ''), ...list('services', 'service-')]
}

/** Every import that breaks the layering, one line each; empty when all is well. */
export function checkBoundaries(root: string): string[] {
  const problems: string[] = []
  for (const { name, folder } of packagesOf(root)) {
    if (layerOf(name) < 0) problems.push(`${path.relative(root, folder)}: package is in no layer of tools/boundaries.ts`)
    for (const file of sources(folder)) {
      const isTest = file.endsWith('.test.ts') || file.includes(`${path.sep}fixtures${path.sep}`)
      const where = path.relative(root, file)
      for (const match of readFileSync(file, 'utf8').matchAll(IMPORT)) {
        const target = match[1] ?? match[2] ?? ''
        const rubato = /^@rubato\/([^/]+)(\/.*)?$/.exec(target)
        if (rubato && !mayImport(name, rubato[1] ?? '', isTest)) problems.push(`${where}: ${name} must not import ${target}`)
        if (PURE.has(name) && !isTest && target.startsWith('node:') && !PURE_BUILTINS.has(target)) problems.push(`${where}: ${name} is pure and must not import ${target}`)
        if (target.startsWith('.') && !path.resolve(path.dirname(file), target).startsWith(folder)) problems.push(`${where}: ${target} leaves the package`)
      }
    }
  }
  return problems
}
