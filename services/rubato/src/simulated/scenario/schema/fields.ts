// Building blocks of the scenario schema: mappings that refuse unknown fields with a suggestion, choices by `kind`, and
// numbers whose message says what is accepted.
import { nearestName } from '@rubato/config'
import { z } from 'zod'

const MAX_SECONDS = 1e7

interface UnknownKeys {
  readonly code?: string
  readonly keys?: readonly string[]
}

/** A mapping of exactly these fields. */
export function fields<T extends z.ZodRawShape>(shape: T): z.ZodObject<T, z.core.$strict> {
  const names = Object.keys(shape)
  return z.strictObject(shape, {
    error: (issue) => {
      const { code, keys = [] } = issue as UnknownKeys
      if (code !== 'unrecognized_keys') return `must hold the fields ${names.join(', ')}`
      return `unknown field; did you mean ${nearestName(keys[0] ?? '', names)}?`
    },
  })
}

interface NoSuchKind {
  readonly code?: string
  readonly options?: readonly unknown[]
}

/** The message of a mapping whose `kind` is none of those there are. */
export function kindError(issue: unknown): string {
  const { code, options } = issue as NoSuchKind
  return code === 'invalid_union' && options !== undefined ? `must be one of ${options.join(', ')}` : 'must be a mapping with a kind'
}

export function wholeNumber(min: number, max: number = Number.MAX_SAFE_INTEGER): z.ZodInt {
  const error = max === Number.MAX_SAFE_INTEGER ? `must be a whole number, at least ${min}` : `must be a whole number from ${min} to ${max}`
  return z.int({ error }).min(min, { error }).max(max, { error })
}

export function positive(): z.ZodNumber {
  const error = 'must be a number above 0'
  return z.number({ error }).gt(0, { error })
}

export function atLeast(min: number): z.ZodNumber {
  const error = `must be a number, at least ${min}`
  return z.number({ error }).min(min, { error })
}

export function ratio(): z.ZodNumber {
  const error = 'must be a number from 0 to 1'
  return z.number({ error }).min(0, { error }).max(1, { error })
}

export function seconds(): z.ZodNumber {
  const error = `must be a number of seconds from 0 to ${MAX_SECONDS}`
  return z.number({ error }).min(0, { error }).max(MAX_SECONDS, { error })
}

/** One of these names. */
export function oneOf<const T extends string>(names: readonly T[]): z.ZodEnum<{ [Name in T]: Name }> {
  return z.enum(names, { error: `must be one of ${names.join(', ')}` })
}

export function text(): z.ZodString {
  return z.string({ error: 'must be text' }).min(1, { error: 'must not be empty' })
}

/** A name that becomes part of addresses and file names. */
export function shortName(): z.ZodString {
  return z.string({ error: 'must be text' }).regex(/^[a-z0-9][a-z0-9-]{0,62}$/, { error: 'must be 1 to 63 small letters, digits or -, and begin with a letter or digit' })
}

/** Accepts a bare word for a mapping of that kind: `timer: composed` is `timer: {kind: composed}`. */
export function wordAsKind(raw: unknown): unknown {
  return typeof raw === 'string' ? { kind: raw } : raw
}
