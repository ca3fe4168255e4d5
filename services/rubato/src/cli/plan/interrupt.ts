// Long work on the command line: a line of progress, and an end by Ctrl-C that keeps what there is.
import process from 'node:process'

export interface Interruptible {
  /** Aborted by SIGINT or SIGTERM. */
  readonly signal: AbortSignal
  /** Overwrites one line on a terminal, prints lines that say something new elsewhere. */
  readonly progress: (line: string) => void
}

const SIGINT_EXIT_CODE = 130

/** Runs the work; sets exit code 130 when it was interrupted. */
export async function withInterrupt<T>(label: string, work: (context: Interruptible) => Promise<T>): Promise<T> {
  const stop = new AbortController()
  const onSignal = (): void => stop.abort()
  process.once('SIGINT', onSignal)
  process.once('SIGTERM', onSignal)
  let last = ''
  const progress = (line: string): void => {
    if (line === last) return
    last = line
    process.stderr.write(process.stderr.isTTY ? `\r\u001b[K[${label}] ${line}` : `[${label}] ${line}\n`)
  }
  try {
    return await work({ signal: stop.signal, progress })
  } finally {
    process.removeListener('SIGINT', onSignal)
    process.removeListener('SIGTERM', onSignal)
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
    if (stop.signal.aborted) process.exitCode = SIGINT_EXIT_CODE
  }
}
