// What the speculator's actor asks of its shell, and the list it collects while it handles one message.
import type { Address, Effect, EffectId, SendEffect } from '@rubato/actor'
import type { DraftReplyMessage } from '@rubato/model'
import type { DraftCommand } from '../engine/draft-command.ts'

/** Runs one command on the draft model; completes with `done` and a DraftRun. One is in flight at a time. */
export interface DraftRunEffect extends Effect {
  readonly kind: 'draft-run'
  readonly command: DraftCommand
}

export type SpeculatorEffect = SendEffect<DraftReplyMessage> | DraftRunEffect

/** Effects of the transition in progress, in order. */
export class EffectList {
  #lastId = 0
  #effects: SpeculatorEffect[] = []

  reply(to: Address, payload: DraftReplyMessage): void {
    this.#effects.push({ kind: 'send', id: ++this.#lastId, to, payload })
  }

  run(command: DraftCommand): EffectId {
    this.#effects.push({ kind: 'draft-run', id: ++this.#lastId, command })
    return this.#lastId
  }

  /** The effects so far; the list starts anew. */
  take(): readonly SpeculatorEffect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }
}
