// How a command's failure is told: one line, and a stack only to those who debug.
import process from 'node:process'
import { RubatoError } from '@rubato/config'
import { CommanderError } from 'commander'

export const EXIT_FAILED = 1
export const EXIT_USAGE = 2

interface Invocation {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Prints `error: <field>: <message>` and returns the exit code: 2 for wrong use or configuration, 1 for anything else. */
export function reportFailure(error: unknown, invocation: Invocation): number {
  // Commander has printed its own message; help and version end this way too.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE
  const message = error instanceof Error ? error.message : String(error)
  const refused = isRefusal(error)
  const field = refused && error.field !== undefined ? `${error.field}: ` : ''
  process.stderr.write(`error: ${field}${message}\n`)
  if (wantsStack(invocation) && error instanceof Error) process.stderr.write(`${stackOf(error)}\n`)
  return refused ? EXIT_USAGE : EXIT_FAILED
}

/** By code, not by class: an error that crossed a worker's boundary keeps only the former. */
function isRefusal(error: unknown): error is RubatoError {
  return error instanceof RubatoError && error.code === 'invalid_argument'
}

/** Asked for in words, not from the resolved configuration: that may be what failed. */
function wantsStack({ argv, env }: Invocation): boolean {
  const at = argv.lastIndexOf('--log-level')
  const level = at >= 0 ? argv[at + 1] : argv.findLast((word) => word.startsWith('--log-level='))?.slice('--log-level='.length)
  return ['debug', 'trace'].includes(level ?? env['RUBATO_LOG_LEVEL'] ?? '')
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`
}
