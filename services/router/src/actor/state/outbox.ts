// Collects the effects of one message. Client events travel in a single `deliver`, however many there are.
import type { Address, EffectId, SpanRecord } from '@rubato/actor'
import type { InstanceMessage } from '@rubato/instance'
import type { ClientEvent, ClientInput } from '../../client.ts'
import type { ClientDelivery, ClientId, RouterEffect } from './messages.ts'

export class Outbox {
  #effects: RouterEffect[] = []
  #events: ClientDelivery[] = []
  #lastId = 0

  send(to: Address, payload: InstanceMessage): EffectId {
    const id = this.#nextId()
    this.#effects.push({ kind: 'send', id, to, payload })
    return id
  }

  timer(delayMs: number): EffectId {
    const id = this.#nextId()
    this.#effects.push({ kind: 'timer', id, delayMs })
    return id
  }

  cancel(target: EffectId): void {
    this.#effects.push({ kind: 'cancel', id: this.#nextId(), target })
  }

  tokenize(model: string, input: ClientInput, addSpecialTokens: boolean): EffectId {
    const id = this.#nextId()
    this.#effects.push({ kind: 'tokenize', id, model, input, addSpecialTokens })
    return id
  }

  span(span: SpanRecord): void {
    this.#effects.push({ kind: 'span', id: this.#nextId(), span })
  }

  deliver(clientId: ClientId, event: ClientEvent): void {
    this.#events.push({ clientId, event })
  }

  /** Everything collected since the last take. */
  take(): readonly RouterEffect[] {
    if (this.#events.length > 0) {
      this.#effects.push({ kind: 'deliver', id: this.#nextId(), events: this.#events })
      this.#events = []
    }
    const effects = this.#effects
    if (effects.length > 0) this.#effects = []
    return effects
  }

  #nextId(): EffectId {
    this.#lastId += 1
    return this.#lastId
  }
}
