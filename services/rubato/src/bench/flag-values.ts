// Values of measurement flags; what is wrong is refused by the flag's name.
import { InvalidArgument } from '@rubato/config'

/** A whole number of at least `least`. */
export function wholeNumber(field: string, least: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < least) throw new InvalidArgument(field, `is ${text}; a whole number of at least ${least} is needed`)
    return value
  }
}

/** A comma-separated list of them. */
export function wholeNumbers(field: string, least: number): (text: string) => readonly number[] {
  return (text) => text.split(',').map(wholeNumber(field, least))
}
