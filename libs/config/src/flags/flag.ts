// One configuration flag: what it is called, what it accepts, what holds when nobody sets it.
import type { z } from 'zod'

export type FlagGroup =
  | 'Model' | 'Server' | 'Cluster' | 'Scheduling' | 'Memory and threads' | 'Overload and shutdown' | 'Configuration, logs and traces'

/** What a flag's value can be; null: nothing was said. */
export type FlagValue = string | number | boolean | null

export interface Flag<T extends FlagValue> {
  /** One line for --help, without the default. */
  readonly help: string
  readonly group: FlagGroup
  /** Stands for the value in --help; null: a switch, which also has a `no-` form. */
  readonly placeholder: string | null
  /** Reads text (flag, environment) and YAML scalars alike; its first issue's message says what is accepted. */
  readonly schema: z.ZodType<T>
  readonly fallback: NoInfer<T>
  /** The default in words where the value alone does not say it. */
  readonly defaultText?: string
  readonly aliases?: readonly string[]
  /** Whether a value is a path, to be resolved against where it was written. */
  readonly isPath?: (value: string) => boolean
  /** Never printed. */
  readonly secret?: boolean
  /** Works, but is not shown in --help. */
  readonly hidden?: boolean
}

/** The flags of one command, in the order of --help. */
export type FlagTable = Readonly<Record<string, Flag<FlagValue>>>

/** A value for every flag of a table. */
export type FlagValues<T extends FlagTable> = { readonly [Name in keyof T]: T[Name] extends Flag<infer V> ? V : never }

/** Checks one entry of a table and keeps its value type. */
export function flag<T extends FlagValue>(definition: Flag<T>): Flag<T> {
  return definition
}

/** The rule for flags whose every value is a path. */
export const always = (): boolean => true

/** The rule for flags where these words mean something else than a path. */
export const unless = (...words: readonly string[]) => (value: string): boolean => !words.includes(value)

/** The default as --help shows it; null: nothing worth showing. */
export function defaultText({ defaultText: words, fallback }: Flag<FlagValue>): string | null {
  if (words !== undefined) return words
  return fallback === null || fallback === false ? null : String(fallback)
}
