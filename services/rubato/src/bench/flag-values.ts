// Parsers of single flag values. What is wrong throws InvalidArgument by the flag's name.
import { InvalidArgument } from '@rubato/config'

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

/** A whole number of at least `least`. */
export function parseCount(field: string, text: string, least: number): number {
  const value = parseNumber(field, text)
  if (!Number.isSafeInteger(value) || value < least) throw new InvalidArgument(field, `'${text}' is not a whole number of at least ${least}`)
  return value
}

/** parseCount for commander, which hands over the text alone. */
export function wholeNumber(field: string, least: number): (text: string) => number {
  return (text) => parseCount(field, text, least)
}

/** A comma-separated list of them, without gaps. */
export function wholeNumbers(field: string, least: number): (text: string) => readonly number[] {
  return (text) => text.split(',').map(wholeNumber(field, least))
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
