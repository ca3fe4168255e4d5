// Parsers of single flag values. Each throws InvalidArgument naming the flag.
import { InvalidArgument } from '@rubato/config'
import type { TargetRule } from './options.ts'

function parseNumber(field: string, text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgument(field, `'${text}' is not a number`)
  return value
}

export function parsePositive(field: string, text: string): number {
  const value = parseNumber(field, text)
  if (value <= 0) throw new InvalidArgument(field, `'${text}' is not above 0`)
  return value
}

export function parseNonNegative(field: string, text: string): number {
  const value = parseNumber(field, text)
  if (value < 0) throw new InvalidArgument(field, `'${text}' is below 0`)
  return value
}

export function parseCount(field: string, text: string, least: number): number {
  const value = parseNumber(field, text)
  if (!Number.isSafeInteger(value) || value < least) throw new InvalidArgument(field, `'${text}' is not a whole number of at least ${least}`)
  return value
}

/** Comma-separated, blanks dropped. */
export function parseList(text: string): string[] {
  return text.split(',').map((part) => part.trim()).filter((part) => part !== '')
}

/** `KEY=VALUE` each; the value may hold further equals signs. */
export function parseKeyValues(field: string, entries: readonly string[]): Record<string, string> {
  const pairs = entries.map((entry): [string, string] => {
    const at = entry.indexOf('=')
    if (at < 1) throw new InvalidArgument(field, `'${entry}' is not KEY=VALUE`)
    return [entry.slice(0, at), entry.slice(at + 1)]
  })
  return Object.fromEntries(pairs)
}

/** `50` is milliseconds, `1.2x` a multiple of the baseline, `none` no target. */
export function parseTargetRule(field: string, text: string): TargetRule {
  if (text === 'none') return { kind: 'none' }
  return text.endsWith('x') ? { kind: 'times', factor: parsePositive(field, text.slice(0, -1)) } : { kind: 'ms', ms: parsePositive(field, text) }
}
