// Value schemas of the flags. Each reads the text of a flag or variable and the scalar of a YAML file, and each has one
// message that says what is accepted.
import { z } from 'zod'
import { parseByteSize } from './byte-size.ts'

/** Timers take at most 2^31 ms. */
const MAX_SECONDS = 2_000_000

function numberFromText(pattern: RegExp): (raw: unknown) => unknown {
  return (raw) => (typeof raw === 'string' && pattern.test(raw) ? Number(raw) : raw)
}

export function wholeNumber(min: number, max: number = Number.MAX_SAFE_INTEGER): z.ZodType<number> {
  const error = max === Number.MAX_SAFE_INTEGER ? `must be a whole number, at least ${min}` : `must be a whole number from ${min} to ${max}`
  return z.preprocess(numberFromText(/^[+-]?\d+$/), z.int({ error }).min(min, { error }).max(max, { error }))
}

export function multipleOf(step: number): z.ZodType<number> {
  const error = `must be a multiple of ${step}, at least ${step}`
  return z.preprocess(numberFromText(/^[+-]?\d+$/), z.int({ error }).min(step, { error }).multipleOf(step, { error }))
}

export function seconds(): z.ZodType<number> {
  const error = `must be a number of seconds from 0 to ${MAX_SECONDS}`
  return z.preprocess(numberFromText(/^\d+(\.\d+)?$/), z.number({ error }).min(0, { error }).max(MAX_SECONDS, { error }))
}

export function byteSize(): z.ZodType<number> {
  const error = 'must be a number of bytes, or a size such as 512MiB or 2GiB'
  return z.preprocess((raw) => (typeof raw === 'string' ? parseByteSize(raw) : raw), z.int({ error }).min(1, { error }))
}

/** YAML turns a bare 0123 into a number: such text has to be quoted, or it would arrive changed. */
export function text(): z.ZodType<string> {
  return z.string({ error: 'must be text; in a YAML file put it in quotes' }).min(1, { error: 'must not be empty' })
}

export function matching(pattern: RegExp, error: string): z.ZodType<string> {
  return z.string({ error }).regex(pattern, { error })
}

export function onOff(): z.ZodType<boolean> {
  const words = new Map<unknown, boolean>([['true', true], ['1', true], [1, true], ['false', false], ['0', false], [0, false]])
  return z.preprocess((raw) => words.get(raw) ?? raw, z.boolean({ error: 'must be true or false' }))
}

/** The named values; those that `unbuilt` matches are refused as not available rather than as unknown. */
export function choice<const T extends string>(values: readonly T[], unbuilt: RegExp = /^$/): z.ZodType<T> {
  const error = ({ input }: { readonly input?: unknown }): string =>
    typeof input === 'string' && input !== '' && unbuilt.test(input) ? `is not available in this version; use ${values.join(' or ')}` : `must be ${values.length > 1 ? 'one of ' : ''}${values.join(', ')}`
  return z.enum(values, { error })
}

/** Accepts `word` for "no value". */
export function orWord<T>(word: string, schema: z.ZodType<T>): z.ZodType<T | null> {
  return z.preprocess((raw) => (raw === word ? null : raw), schema.nullable())
}

/** Ports of listeners; 0: any free one. */
export function port(): z.ZodType<number> {
  return wholeNumber(0, 65_535)
}

/** A path to a file, or nothing. */
export function file(): z.ZodType<string | null> {
  return text().nullable()
}

/** The name of something in a cluster: it becomes part of addresses and of NATS subjects. */
export function clusterName(): z.ZodType<string> {
  return matching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, 'must be 1 to 63 letters, digits, - or _, and begin with a letter or digit')
}
