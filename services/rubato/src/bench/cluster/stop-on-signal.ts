// A benchmark that started processes of its own ends them on a signal, too.
import process from 'node:process'

export interface SignalStop {
  readonly signal: AbortSignal
  /** The given code, or 130 after a signal. */
  readonly exitCode: (code: number) => number
  readonly release: () => void
}

const SIGNALLED = 130

/** The first SIGINT or SIGTERM aborts; a second one does not wait. */
export function stopOnSignal(): SignalStop {
  const stop = new AbortController()
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(SIGNALLED)
    stop.abort()
  }
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const name of signals) process.on(name, onSignal)
  return {
    signal: stop.signal,
    exitCode: (code) => (stop.signal.aborted ? SIGNALLED : code),
    release: () => {
      for (const name of signals) process.removeListener(name, onSignal)
    },
  }
}
