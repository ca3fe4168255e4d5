// One life of a simulated process: everything that happens in it runs through here, so that it can stand still or die.
//
//   running <──freeze, thaw──> frozen          both ──kill──> dead
//
// 1. Frozen: nothing of the process runs and its clock goes on, as under SIGSTOP. What falls due meanwhile, its timers and what
//    reaches it from outside, runs at the thaw in the order in which it fell due.
// 2. Dead: nothing of it runs any more. Another process of its name is another life.
import type { Scheduler } from '@rubato/actor'
import type { SimWorld } from '../sim-world.ts'

export class SimProcess implements Scheduler {
  readonly name: string
  readonly #world: SimWorld
  #state: 'running' | 'frozen' | 'dead' = 'running'
  /** Until when; freezes that overlap end with the last of them. */
  #frozenUntilMs = 0
  /** What fell due while frozen, by a number of its own. */
  readonly #backlog = new Map<number, () => void>()
  #lastTask = 0

  constructor(world: SimWorld, name: string) {
    this.#world = world
    this.name = name
  }

  get isAlive(): boolean {
    return this.#state !== 'dead'
  }

  get isFrozen(): boolean {
    return this.#state === 'frozen'
  }

  nowMs(): number {
    return this.#world.nowMs()
  }

  schedule(delayMs: number, callback: () => void): () => void {
    let task = 0
    const cancel = this.#world.schedule(delayMs, () => {
      if (this.#state === 'running') callback()
      else task = this.#defer(callback)
    })
    return () => {
      cancel()
      if (task !== 0) this.#backlog.delete(task)
    }
  }

  /** Something from outside reaches the process: it runs at once, at the thaw, or not at all. */
  run(callback: () => void): void {
    if (this.#state === 'running') callback()
    else this.#defer(callback)
  }

  freeze(forMs: number): void {
    if (this.#state === 'dead') return
    if (this.#state === 'running') this.#world.trace(`frozen ${this.name}`)
    this.#state = 'frozen'
    this.#frozenUntilMs = Math.max(this.#frozenUntilMs, this.#world.nowMs() + forMs)
    this.#world.scheduleAt(this.#frozenUntilMs, () => this.#thaw())
  }

  /** No last words. Idempotent. */
  kill(): void {
    this.#state = 'dead'
    this.#backlog.clear()
  }

  #defer(callback: () => void): number {
    if (this.#state === 'dead') return 0
    this.#lastTask += 1
    this.#backlog.set(this.#lastTask, callback)
    return this.#lastTask
  }

  #thaw(): void {
    if (this.#state !== 'frozen' || this.#world.nowMs() < this.#frozenUntilMs) return
    this.#state = 'running'
    this.#world.trace(`thawed ${this.name}`)
    // One of them may freeze, kill or cancel: a Map iterates over what is still there.
    for (const [task, callback] of this.#backlog) {
      if (this.#state !== 'running') return
      this.#backlog.delete(task)
      callback()
    }
  }
}
