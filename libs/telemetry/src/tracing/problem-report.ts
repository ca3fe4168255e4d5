// One line per minute about lost spans, however many are lost.

const PERIOD_MS = 60_000

export class ProblemReport {
  readonly #onProblem: (message: string) => void
  readonly #nowMs: () => number
  #nextMs = Number.NEGATIVE_INFINITY

  constructor(onProblem: (message: string) => void, nowMs: () => number) {
    this.#onProblem = onProblem
    this.#nowMs = nowMs
  }

  /** Says it, unless something was said less than a minute ago. The message is built only then. */
  say(message: () => string): void {
    const nowMs = this.#nowMs()
    if (nowMs < this.#nextMs) return
    this.#nextMs = nowMs + PERIOD_MS
    this.#onProblem(message())
  }
}

/** The innermost words of a transport failure: connection errors to several addresses have no message of their own. */
export function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && (typeof error.code === 'string' || typeof error.code === 'number') ? String(error.code) : ''
  const message = error.message === '' && error instanceof AggregateError ? causeOf(error.errors[0]) : error.message
  return message.includes(code) ? message : `${code} ${message}`.trim()
}
