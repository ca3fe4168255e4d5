// Live requests that moved from here: their routers may not have heard yet, and ask this instance.
//
// 1. Bounded: past 1024 entries the oldest goes. What is forgotten is only slower to be repaired: the router sees no progress.
// 2. What is passed on carries the epoch of the new owner, who passes it on in turn. What names a later epoch than the one that
//    the request moved under is about a later stay: to pass it on could come full circle to who owns it now.
import type { Address } from '@rubato/actor'
import type { EffectList } from '../effects.ts'
import type { AbortMessage, Epoch, ResendMessage } from '../messages.ts'
import type { OutgoingHandOff } from '../hand-off/outgoing.ts'

const MAX_ENTRIES = 1024

interface Moved {
  readonly to: Address
  readonly router: Address
  readonly epoch: Epoch
  readonly raisedEpoch: Epoch
}

export class MovedRequests {
  readonly #config: { readonly instanceId: string }
  readonly #effects: EffectList
  readonly #entries = new Map<string, Moved>()

  constructor(config: { readonly instanceId: string }, effects: EffectList) {
    this.#config = config
    this.#effects = effects
  }

  note({ request, to, epoch, raisedEpoch }: OutgoingHandOff): void {
    const { requestId } = request.message
    this.#entries.delete(requestId)
    this.#entries.set(requestId, { to, router: request.replyTo, epoch, raisedEpoch })
    if (this.#entries.size <= MAX_ENTRIES) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }

  abort(message: AbortMessage, from: Address): void {
    const moved = this.#of(message, from)
    if (moved !== null) this.#effects.send(moved.to, { ...message, epoch: moved.raisedEpoch })
  }

  resend(message: ResendMessage, from: Address): boolean {
    const moved = this.#of(message, from)
    if (moved !== null) this.#effects.send(moved.to, { ...message, epoch: moved.raisedEpoch })
    return moved !== null
  }

  /** The new owner is dead. A router that has not heard of it would wait for ever: it is told, and computes the request anew. */
  gone(address: Address): void {
    for (const [requestId, moved] of this.#entries) {
      if (moved.to !== address) continue
      this.#entries.delete(requestId)
      this.tellLost(requestId, moved.router, moved.epoch)
    }
  }

  /** Under the epoch that its router may still know: one that knows a newer one pays no heed. */
  tellLost(requestId: string, router: Address, epoch: Epoch): void {
    const { instanceId } = this.#config
    const message = 'the instance that it moved to is gone'
    this.#effects.send(router, { kind: 'refused', instanceId, requestId, epoch, reason: 'no_capacity', heldEpoch: null, message, retryAfterMs: null })
  }

  #of({ requestId, epoch }: AbortMessage | ResendMessage, from: Address): Moved | null {
    const moved = this.#entries.get(requestId)
    if (moved === undefined || moved.to === from || epoch.recovery !== moved.epoch.recovery || epoch.hop > moved.epoch.hop) return null
    return moved
  }
}
