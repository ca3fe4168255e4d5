// Effect ids of one actor: a counter that is never reset, so that a stale completion can never match.
import type { EffectId } from './actor.ts'

export class EffectIds {
  #last = 0

  /** The next id; the first is 1. */
  next(): EffectId {
    this.#last += 1
    return this.#last
  }
}
