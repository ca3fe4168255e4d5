// What the instance actor asks of its shell, and the list it collects while it handles one message.
import type { Address, CancelEffect, Effect, EffectId, SendEffect, TimerEffect } from '@rubato/actor'
import type { EngineCommand } from '@rubato/model'
import type { InstanceReport } from './messages.ts'

/** Runs one engine command; completes with `done` and an EngineResult. At most one step is in flight. */
export interface EngineEffect extends Effect {
  readonly kind: 'engine'
  readonly command: EngineCommand
}

export type InstanceEffect = SendEffect<InstanceReport> | TimerEffect | CancelEffect | EngineEffect

/** Effects of the transition in progress, in order. */
export class EffectList {
  #lastId = 0
  #effects: InstanceEffect[] = []

  send(to: Address, payload: InstanceReport): void {
    this.#effects.push({ kind: 'send', id: ++this.#lastId, to, payload })
  }

  timer(delayMs: number): EffectId {
    this.#effects.push({ kind: 'timer', id: ++this.#lastId, delayMs })
    return this.#lastId
  }

  cancel(target: EffectId): void {
    this.#effects.push({ kind: 'cancel', id: ++this.#lastId, target })
  }

  engine(command: EngineCommand): EffectId {
    this.#effects.push({ kind: 'engine', id: ++this.#lastId, command })
    return this.#lastId
  }

  /** The effects so far; the list starts anew. */
  take(): readonly InstanceEffect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }
}
