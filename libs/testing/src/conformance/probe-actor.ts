// An actor that tests drive by hand: it performs the effects it is sent and records all that reaches it.
import { EffectIds } from '@rubato/actor'
import type { Actor, Completion, Effect, EffectId, Incoming, Outcome } from '@rubato/actor'

/** Effects in the order to perform, or `boom` to throw. */
export type ProbeMessage = { readonly effects: readonly Effect[] } | { readonly boom: string } | { readonly note: string }

export class ProbeActor implements Actor<unknown> {
  readonly ids = new EffectIds()
  readonly received: Incoming<unknown>[] = []
  readonly #startEffects: readonly Effect[]
  #depth = 0
  maxDepth = 0

  constructor(startEffects: readonly Effect[] = []) {
    this.#startEffects = startEffects
  }

  start(): readonly Effect[] {
    return this.#startEffects
  }

  receive(incoming: Incoming<unknown>): readonly Effect[] {
    this.#depth += 1
    this.maxDepth = Math.max(this.maxDepth, this.#depth)
    try {
      this.received.push(incoming)
      if (incoming.kind === 'completion') return []
      const message = incoming.payload as ProbeMessage
      if ('boom' in message) throw new Error(message.boom)
      return 'effects' in message ? message.effects : []
    } finally {
      this.#depth -= 1
    }
  }

  completions(): readonly Completion[] {
    return this.received.filter((incoming) => incoming.kind === 'completion')
  }

  /** Outcomes of one effect, in order; conformance means exactly one. */
  outcomesOf(id: EffectId): readonly Outcome[] {
    return this.completions().filter(({ effectId }) => effectId === id).map(({ outcome }) => outcome)
  }

  notes(): readonly string[] {
    return this.received.flatMap((incoming) => {
      if (incoming.kind !== 'message') return []
      const message = incoming.payload as ProbeMessage
      return 'note' in message ? [message.note] : []
    })
  }
}
