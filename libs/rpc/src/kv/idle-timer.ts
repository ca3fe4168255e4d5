// Notices that nothing moved for a while. A thread that was busy itself for that long first looks at what has come meanwhile.

export class IdleTimer {
  readonly #onIdle: () => void
  readonly #timer: NodeJS.Timeout
  #check: NodeJS.Immediate | undefined

  /** Calls back once, after `limitMs` without a touch(). */
  constructor(limitMs: number, onIdle: () => void) {
    this.#onIdle = onIdle
    // Timers run before input is read: let one round of it pass.
    this.#timer = setTimeout(() => (this.#check = setImmediate(() => (this.#check = setImmediate(this.#onIdle)))), limitMs)
  }

  touch(): void {
    clearImmediate(this.#check)
    this.#timer.refresh()
  }

  stop(): void {
    clearImmediate(this.#check)
    clearTimeout(this.#timer)
  }
}
