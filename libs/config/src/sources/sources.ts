// Where flag values come from: command line over RUBATO_* variables over rubato.yaml. Unknown names are refused, because a
// setting that is silently ignored is worse than one that is wrong.
import path from 'node:path'
import { InvalidArgument } from '../errors.ts'
import { nearestName } from '../flags/nearest.ts'
import type { FlagTable } from '../flags/flag.ts'
import { EVERY_FLAG } from '../commands/command-flags.ts'

/** A parsed YAML file; its keys are flag names in kebab or snake case. */
export interface ConfigFile {
  /** Absolute. Relative paths in the file start from its folder. */
  readonly path: string
  readonly values: Readonly<Record<string, unknown>>
}

export interface FlagSources {
  /** From the command line, by flag name or alias; undefined: not given. */
  readonly flags: Readonly<Record<string, unknown>>
  /** The whole environment: only RUBATO_* is read. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly file: ConfigFile | null
}

/** A value that somebody set, before it is checked. */
export interface Given {
  readonly value: unknown
  /** In the caller's spelling, e.g. `--http-port`, `RUBATO_PORT`, `port in /srv/rubato.yaml`. */
  readonly origin: string
  readonly baseDir: string
}

const ENV_PREFIX = 'RUBATO_'
/** Variables of the bootstrap and the tests: no flags. */
const FOREIGN_VARIABLES: ReadonlySet<string> = new Set(['RUBATO_NO_SYSTEM_INSTALL', 'RUBATO_TEST_SEED'])

interface Spelling {
  readonly name: string
  /** The `no-` form of a switch. */
  readonly negated: boolean
}

type Spellings = ReadonlyMap<string, Spelling>

function spellingsOf(table: FlagTable): Spellings {
  const all = new Map<string, Spelling>()
  for (const [name, { aliases = [], placeholder }] of Object.entries(table)) {
    for (const spelling of [name, ...aliases]) all.set(spelling, { name, negated: false })
    if (placeholder === null) all.set(`no-${name}`, { name, negated: true })
  }
  return all
}

const EVERY_SPELLING = spellingsOf(EVERY_FLAG)

/** `--config` or RUBATO_CONFIG; null: neither is given. It cannot be part of the resolved values, which need the file. */
export function configFilePath({ flags, env }: Pick<FlagSources, 'flags' | 'env'>): string | null {
  const value = flags['config'] ?? (env['RUBATO_CONFIG'] || null)
  return typeof value === 'string' ? value : null
}

/**
 * What is set for each flag of the table, by precedence. Environment and file may also set flags of other commands. Throws
 * InvalidArgument naming an unknown or contradictory spelling.
 */
export function gatherValues(table: FlagTable, { flags, env, file }: FlagSources, cwd: string): Map<string, Given> {
  const all = new Map([...(file === null ? [] : fromFile(file)), ...fromEnvironment(env, cwd), ...fromCommandLine(spellingsOf(table), flags, cwd)])
  return new Map([...all].filter(([name]) => name in table))
}

function fromFile(file: ConfigFile): Map<string, Given> {
  const given = new Map<string, Given>()
  for (const [key, value] of Object.entries(file.values)) {
    const spelling = key.replaceAll('_', '-')
    const origin = `${key} in ${file.path}`
    if (spelling === 'config') throw new InvalidArgument(key, `a configuration file cannot name another (${origin}); use --config or RUBATO_CONFIG`)
    if (value === null) throw new InvalidArgument(key, `has no value (${origin}); give one or remove the line`)
    const baseDir = path.dirname(file.path)
    const known = EVERY_SPELLING.get(spelling)
    if (known === undefined) throw unknownName(key, `unknown setting in ${file.path}`, nearestName(spelling, EVERY_SPELLING.keys()))
    add(given, known, { value, origin, baseDir })
  }
  return given
}

/** An empty variable counts as unset: that is what `RUBATO_X=${X:-}` in a compose file means. */
function fromEnvironment(env: FlagSources['env'], baseDir: string): Map<string, Given> {
  const given = new Map<string, Given>()
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith(ENV_PREFIX) || FOREIGN_VARIABLES.has(variable)) continue
    const spelling = variable.slice(ENV_PREFIX.length).toLowerCase().replaceAll('_', '-')
    const known = EVERY_SPELLING.get(spelling)
    if (known === undefined) throw unknownName(variable, 'no flag has this name', variableOf(nearestName(spelling, EVERY_SPELLING.keys())))
    if (value !== undefined && value !== '') add(given, known, { value, origin: variable, baseDir })
  }
  return given
}

function fromCommandLine(spellings: Spellings, flags: FlagSources['flags'], baseDir: string): Map<string, Given> {
  const given = new Map<string, Given>()
  for (const [spelling, value] of Object.entries(flags)) {
    if (value === undefined) continue
    const known = spellings.get(spelling)
    if (known === undefined) throw unknownName(`--${spelling}`, 'no flag has this name', `--${nearestName(spelling, spellings.keys())}`)
    const origin = `--${value === false ? 'no-' : ''}${spelling}`
    add(given, known, { value, origin, baseDir })
  }
  return given
}

function add(given: Map<string, Given>, { name, negated }: Spelling, entry: Given): void {
  const value = negated ? opposite(entry.value) : entry.value
  const earlier = given.get(name)
  if (earlier !== undefined && String(earlier.value) !== String(value)) throw new InvalidArgument(name, `${earlier.origin} and ${entry.origin} contradict each other; keep one`)
  given.set(name, { ...entry, value })
}

/** Of a `no-` form's value; what is neither true nor false stays, and fails the flag's own check. */
function opposite(value: unknown): unknown {
  if (['true', '1'].includes(String(value))) return false
  return ['false', '0'].includes(String(value)) ? true : value
}

function variableOf(spelling: string): string {
  return ENV_PREFIX + spelling.replaceAll('-', '_').toUpperCase()
}

function unknownName(field: string, what: string, nearest: string): InvalidArgument {
  return new InvalidArgument(field, `${what}; did you mean ${nearest}?`)
}
