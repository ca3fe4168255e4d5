// A client's field that breaks a rule, and how such rules are worded.
import { InvalidArgument } from '@rubato/config'
import type { z } from 'zod'

export type FieldReason = 'invalid_value' | 'missing_required_parameter' | 'unknown_parameter' | 'unsupported_parameter'

/** Thrown when a request field cannot be honoured; `field` is its path in the client's spelling. */
export class FieldError extends InvalidArgument {
  readonly reason: FieldReason
  constructor(field: string, message: string, reason: FieldReason = 'invalid_value') {
    super(field, message)
    this.reason = reason
  }
}

const MAX_SHOWN_CHARS = 60

/** A value as an error message shows it, cut to a readable length. */
export function shown(value: unknown): string {
  const text = typeof value === 'number' || typeof value === 'bigint' ? String(value) : (JSON.stringify(typeof value === 'string' ? value.slice(0, MAX_SHOWN_CHARS) : value) ?? 'nothing')
  return text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}...` : text
}

/** `['messages', 0, 'content']` as `messages[0].content`. */
export function pathText(path: readonly PropertyKey[]): string {
  let text = ''
  for (const part of path) text += typeof part === 'number' ? `[${part}]` : `${text === '' ? '' : '.'}${String(part)}`
  return text
}

export function invalidField(field: string, rule: string, value: unknown): FieldError {
  if (value === undefined) return new FieldError(field, `Missing required parameter: '${field}' (it ${rule}).`, 'missing_required_parameter')
  return new FieldError(field, `Invalid '${field}': it ${rule}, got ${shown(value)}.`)
}

/** The value that this schema makes of `input`. Throws FieldError for the first rule broken; rules read "must be ...". */
export function parseFields<S extends z.ZodType>(schema: S, input: object, prefix = ''): z.output<S> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const path = [...(issue?.path ?? [])]
  if (issue?.code === 'unrecognized_keys') {
    const field = prefix + pathText([...path, issue.keys[0] ?? ''])
    throw new FieldError(field, `Unknown parameter: '${field}'.`, 'unknown_parameter')
  }
  let value: unknown = input
  for (const part of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[part]
  throw invalidField(prefix + pathText(path), issue?.message ?? 'is invalid', value)
}

/** Path of the first string (or key) with a lone surrogate, which no UTF-8 text can hold; null when there is none. */
export function findLoneSurrogate(root: unknown): PropertyKey[] | null {
  const open: { readonly value: unknown; readonly path: PropertyKey[] }[] = [{ value: root, path: [] }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, path } = next
    if (typeof value === 'string' && !value.isWellFormed()) return path
    if (typeof value !== 'object' || value === null) continue
    if (Array.isArray(value) && typeof value[0] === 'number') continue
    for (const key of Object.keys(value)) {
      const part = Array.isArray(value) ? Number(key) : key
      if (!key.isWellFormed()) return path
      open.push({ value: (value as Record<string, unknown>)[key], path: [...path, part] })
    }
  }
  return null
}
