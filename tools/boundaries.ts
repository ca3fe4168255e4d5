// Layer boundaries: which package may import which, and that its package.json declares exactly those. Nx and npm see only
// declared dependencies, so imports are checked here.
import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'

/** Lower layers first; a package imports only packages of lower layers. Tests and their fixtures may also use `testing`. */
const LAYERS: readonly (readonly string[])[] = [
  ['config'],
  ['policy', 'kv'],
  ['model', 'actor'],
  ['instance', 'bus', 'rpc', 'telemetry'],
  ['testing'],
  ['runtime', 'sim'],
  ['plan'],
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

interface Imports {
  /** Workspace packages that the shipped code imports, by full name. */
  readonly shipped: Set<string>
  /** Those of tests and their fixtures. */
  readonly tests: Set<string>
}

type Manifest = Readonly<Partial<Record<'dependencies' | 'devDependencies', Readonly<Record<string, string>>>>>

function declaredIn(manifest: Manifest, field: 'dependencies' | 'devDependencies'): string[] {
  return Object.keys(manifest[field] ?? {}).filter((name) => name.startsWith('@rubato/'))
}

/** Where a package's manifest and its imports differ: what ships is in `dependencies`, what only tests use in `devDependencies`. */
function manifestProblems(manifest: Manifest, { shipped, tests }: Imports): string[] {
  const dependencies = declaredIn(manifest, 'dependencies')
  const devDependencies = declaredIn(manifest, 'devDependencies')
  const forTests = [...tests].filter((name) => !shipped.has(name))
  return [
    ...[...shipped].filter((name) => !dependencies.includes(name)).map((name) => `${name} is imported but not in dependencies`),
    ...forTests.filter((name) => !devDependencies.includes(name)).map((name) => `${name} is imported by tests but not in devDependencies`),
    ...dependencies.filter((name) => !shipped.has(name)).map((name) => `${name} is in dependencies but ${tests.has(name) ? 'only tests import it' : 'never imported'}`),
    ...devDependencies.filter((name) => !forTests.includes(name)).map((name) => `${name} is in devDependencies but ${shipped.has(name) ? 'the shipped code imports it' : 'never imported by a test'}`),
  ]
}

/** Every import that breaks the layering or is not declared, and every declared one that is not there; empty when all is well. */
export function checkBoundaries(root: string): string[] {
  const problems: string[] = []
  for (const { name, folder } of packagesOf(root)) {
    if (layerOf(name) < 0) problems.push(`${path.relative(root, folder)}: package is in no layer of tools/boundaries.ts`)
    const imports: Imports = { shipped: new Set(), tests: new Set() }
    for (const file of sources(folder)) {
      const isTest = file.endsWith('.test.ts') || file.includes(`${path.sep}fixtures${path.sep}`)
      const where = path.relative(root, file)
      for (const match of readFileSync(file, 'utf8').matchAll(IMPORT)) {
        const target = match[1] ?? match[2] ?? ''
        const rubato = /^@rubato\/([^/]+)(\/.*)?$/.exec(target)?.[1]
        if (rubato !== undefined && !mayImport(name, rubato, isTest)) problems.push(`${where}: ${name} must not import ${target}`)
        if (rubato !== undefined && rubato !== name) imports[isTest ? 'tests' : 'shipped'].add(`@rubato/${rubato}`)
        if (PURE.has(name) && !isTest && target.startsWith('node:') && !PURE_BUILTINS.has(target)) problems.push(`${where}: ${name} is pure and must not import ${target}`)
        if (target.startsWith('.') && !path.resolve(path.dirname(file), target).startsWith(folder)) problems.push(`${where}: ${target} leaves the package`)
      }
    }
    const file = path.join(folder, 'package.json')
    const manifest = JSON.parse(readFileSync(file, 'utf8')) as Manifest
    problems.push(...manifestProblems(manifest, imports).map((problem) => `${path.relative(root, file)}: ${problem}`))
  }
  return problems
}
