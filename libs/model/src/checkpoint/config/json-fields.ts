// One JSON object of a checkpoint, read field by field: every complaint names the file and the field.
import { readFile } from 'node:fs/promises'
import { CheckpointError } from '@rubato/config'

/** True for `{...}`: neither null nor a list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A JSON object with its place. A null field counts as absent, as in Hugging Face; use `raw` to tell them apart. */
export class JsonFields {
  readonly file: string
  readonly #values: Readonly<Record<string, unknown>>
  readonly #prefix: string

  constructor(file: string, values: Readonly<Record<string, unknown>>, prefix = '') {
    this.file = file
    this.#values = values
    this.#prefix = prefix
  }

  /** The error to throw (or to report) for one field. */
  refuse(key: string, message: string): CheckpointError {
    return new CheckpointError(this.file, this.#prefix + key, message)
  }

  raw(key: string): unknown {
    return Object.hasOwn(this.#values, key) ? this.#values[key] : undefined
  }

  has(key: string): boolean {
    const value = this.raw(key)
    return value !== undefined && value !== null
  }

  keys(): readonly string[] {
    return Object.keys(this.#values)
  }

  /** The nested object of this name, or null when absent. */
  object(key: string): JsonFields | null {
    if (!this.has(key)) return null
    const value = this.raw(key)
    if (!isRecord(value)) throw this.refuse(key, `is ${JSON.stringify(value)}, expected an object`)
    return new JsonFields(this.file, value, `${this.#prefix}${key}.`)
  }

  text(key: string): string | null {
    return this.#optional(key, 'a string', (value) => typeof value === 'string')
  }

  flag(key: string, fallback: boolean): boolean {
    return this.#optional(key, 'true or false', (value) => typeof value === 'boolean') ?? fallback
  }

  /** A finite number in [min, max], or null when absent. */
  number(key: string, min: number, max = Number.MAX_VALUE): number | null {
    return this.#optional(key, rangeText('a number', min, max), (value): value is number => isNumberIn(value, min, max))
  }

  /** An integer in [min, max], or null when absent. */
  integer(key: string, min: number, max = Number.MAX_SAFE_INTEGER): number | null {
    const isInteger = (value: unknown): value is number => Number.isSafeInteger(value) && isNumberIn(value, min, max)
    return this.#optional(key, rangeText('an integer', min, max), isInteger)
  }

  /** A finite number > 0. Without a fallback an absent field is refused. */
  positive(key: string, fallback?: number): number {
    return this.#required(key, this.number(key, Number.MIN_VALUE), fallback)
  }

  /** An integer >= 1. Without a fallback an absent field is refused. */
  positiveInteger(key: string, fallback?: number): number {
    return this.#required(key, this.integer(key, 1), fallback)
  }

  /** Token ids given as one id or as a list of ids; empty when absent. */
  tokenIds(key: string): readonly number[] {
    if (!this.has(key)) return []
    const value = this.raw(key)
    const ids: readonly unknown[] = Array.isArray(value) ? value : [value]
    return ids.map((id) => {
      if (!Number.isSafeInteger(id) || !isNumberIn(id, 0)) throw this.refuse(key, `is ${JSON.stringify(value)}, expected token ids (integers >= 0)`)
      return id
    })
  }

  #optional<T>(key: string, expected: string, accepts: (value: unknown) => value is T): T | null {
    if (!this.has(key)) return null
    const value = this.raw(key)
    if (!accepts(value)) throw this.refuse(key, `is ${JSON.stringify(value)}, expected ${expected}`)
    return value
  }

  #required(key: string, value: number | null, fallback: number | undefined): number {
    const chosen = value ?? fallback
    if (chosen === undefined) throw this.refuse(key, 'is missing')
    return chosen
  }
}

function isNumberIn(value: unknown, min: number, max = Number.MAX_VALUE): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= min && value <= max
}

function rangeText(kind: string, min: number, max: number): string {
  const low = min === Number.MIN_VALUE ? '> 0' : `>= ${min}`
  return max >= Number.MAX_SAFE_INTEGER ? `${kind} ${low}` : `${kind} ${low} and <= ${max}`
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')
}

/** Reads a JSON object from disk; null when there is no such file. Throws CheckpointError when it is not one. */
export async function readJsonFields(file: string): Promise<JsonFields | null> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    if (isMissing(cause)) return null
    throw new CheckpointError(file, 'file', `cannot be read: ${(cause as Error).message}`, { cause })
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw new CheckpointError(file, 'file', `is not valid JSON: ${(cause as Error).message}`, { cause })
  }
  if (!isRecord(parsed)) throw new CheckpointError(file, 'file', 'is not a JSON object')
  return new JsonFields(file, parsed)
}
