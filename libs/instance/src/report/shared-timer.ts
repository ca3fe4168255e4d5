// One timer effect that many waits share: it is set for the earliest of them.
import type { EffectId } from '@rubato/actor'
import type { EffectList } from '../effects.ts'

export class SharedTimer {
  readonly #effects: EffectList
  #armed: { readonly effectId: EffectId; readonly atMs: number } | null = null

  constructor(effects: EffectList) {
    this.#effects = effects
  }

  /** Makes sure that it fires by `atMs`; an earlier setting stays. */
  wakeBy(atMs: number, nowMs: number): void {
    if (this.#armed !== null && this.#armed.atMs <= atMs) return
    this.cancel()
    this.#armed = { effectId: this.#effects.timer(Math.max(1, atMs - nowMs)), atMs }
  }

  /** True when the completed effect was this timer, which is then unset. */
  take(effectId: EffectId): boolean {
    if (this.#armed?.effectId !== effectId) return false
    this.#armed = null
    return true
  }

  cancel(): void {
    if (this.#armed !== null) this.#effects.cancel(this.#armed.effectId)
    this.#armed = null
  }
}
