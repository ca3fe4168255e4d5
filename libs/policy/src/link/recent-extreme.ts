// The largest or smallest value lately. It lasts for one to two spans of observations: what nothing contradicts stays.

export class RecentExtreme {
  readonly #spanMs: number
  readonly #better: (a: number, b: number) => number
  #sinceMs = 0
  #current: number | null = null
  #before: number | null = null

  constructor(which: 'max' | 'min', spanMs: number) {
    this.#spanMs = spanMs
    this.#better = which === 'max' ? Math.max : Math.min
  }

  /** null: nothing was observed. */
  get value(): number | null {
    if (this.#current === null || this.#before === null) return this.#current
    return this.#better(this.#current, this.#before)
  }

  observe(value: number, nowMs: number): void {
    if (this.#current === null || nowMs - this.#sinceMs >= this.#spanMs) {
      // What is older than two spans is gone too.
      this.#before = this.#current !== null && nowMs - this.#sinceMs < 2 * this.#spanMs ? this.#current : null
      this.#current = value
      this.#sinceMs = nowMs
    } else this.#current = this.#better(this.#current, value)
  }
}
