// Checks what was given for each flag and fills in defaults.
import path from 'node:path'
import { InvalidArgument } from '../errors.ts'
import type { Flag, FlagTable, FlagValue, FlagValues } from '../flags/flag.ts'
import type { Machine } from './machine.ts'
import { gatherValues } from './sources.ts'
import type { FlagSources, Given } from './sources.ts'

export interface ConfigSources extends FlagSources {
  readonly machine: Machine
}

/** Where a flag's value came from, for messages. */
export type OriginOf = (name: string) => string

export interface ReadValues<T extends FlagTable> {
  readonly values: FlagValues<T>
  readonly originOf: OriginOf
}

/**
 * Throws InvalidArgument whose field is the flag's name (or the unknown name as written) and whose message says where the
 * value came from and what to do.
 */
export function readValues<T extends FlagTable>(table: T, sources: ConfigSources): ReadValues<T> {
  const { cwd, homeDir } = sources.machine
  const given = gatherValues(table, sources, cwd)
  const read = ([name, flag]: [string, Flag<FlagValue>]): [string, unknown] => {
    const entry = given.get(name)
    return [name, entry === undefined ? flag.fallback : readValue(name, flag, entry, homeDir)]
  }
  const values = Object.fromEntries(Object.entries(table).map(read)) as unknown as FlagValues<T>
  return { values, originOf: (name) => originText(given.get(name)) }
}

function readValue(name: string, { schema, isPath, secret }: Flag<FlagValue>, { value, origin, baseDir }: Given, homeDir: string): unknown {
  const { success, data, error } = schema.safeParse(value)
  if (!success) {
    const shown = secret === true ? '' : `${JSON.stringify(value)} `
    throw new InvalidArgument(name, `${shown}(from ${origin}): ${error.issues[0]?.message ?? 'is not valid'}`)
  }
  if (typeof data !== 'string' || isPath?.(data) !== true) return data
  return path.resolve(baseDir, data.replace(/^~(?=\/|$)/, homeDir))
}

function originText(given: Given | undefined): string {
  return given === undefined ? 'the default' : `from ${given.origin}`
}
