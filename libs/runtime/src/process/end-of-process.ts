// How a service process ends: a signal or a fatal failure asks for it once; a second signal does not wait.
import process from 'node:process'

export interface ProcessEnd {
  readonly code: number
  readonly reason: string
}

/** Exit code of a process that was told twice. */
const TOLD_TWICE = 130
/** A terminal and a launcher both hand on one Ctrl-C: what comes this soon is no second one. */
const ECHO_MS = 300
/** Beyond --shutdown-timeout, for engines, pools and connections to close. */
const FORCED_EXIT_AFTER_MS = 10_000

export class EndOfProcess {
  /** Resolves with the first reason to end. */
  readonly asked: Promise<ProcessEnd>
  readonly #ask: (end: ProcessEnd) => void
  #isAsked = false

  /** Listens for SIGINT and SIGTERM from now on. */
  constructor() {
    const { promise, resolve } = Promise.withResolvers<ProcessEnd>()
    this.asked = promise
    this.#ask = resolve
    let toldMs: number | null = null
    const onSignal = (signal: string): void => {
      const nowMs = performance.now()
      if (toldMs !== null && nowMs - toldMs > ECHO_MS) process.exit(TOLD_TWICE)
      toldMs ??= nowMs
      this.ask({ code: 0, reason: signal })
    }
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal)
  }

  get isAsked(): boolean {
    return this.#isAsked
  }

  ask(end: ProcessEnd): void {
    this.#isAsked = true
    this.#ask(end)
  }

  /** A model run that never returns cannot be interrupted; the process must end all the same. */
  forceAfter(limitMs: number): void {
    setTimeout(() => process.exit(1), limitMs + FORCED_EXIT_AFTER_MS).unref()
  }
}
