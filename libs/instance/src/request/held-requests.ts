// Requests that may be what killed their instances so far (`guarded`): each begins on its router's word, and one at a time.
//
//   held -> asked -> begun -> its router has a token of it, or it left: the next one is asked for
//             └─ its router is gone ─> held (until another router attaches, which ends the guard)
//
// 1. Of all guarded requests, whoever their routers are, at most one is asked for or begun and without a token that its router is known
//    to have: should the instance die, no router blames another one for it.
// 2. A held request waits in the queue as any other: whatever ends one that waits ends it, and nothing is held apart from it.
// 3. Words get lost: it asks again with every report of its load.
import type { Address } from '@rubato/actor'
import type { EffectList } from '../effects.ts'
import { compareEpochs } from '../epoch.ts'
import type { InstanceConfig } from '../instance-config.ts'
import type { BeginMessage } from '../messages.ts'
import type { InstanceRequest } from './request.ts'
import type { RequestBook } from './request-book.ts'

export interface HeldParts {
  readonly config: InstanceConfig
  readonly effects: EffectList
  readonly book: RequestBook
}

export class HeldRequests {
  readonly #parts: HeldParts
  /** The last one asked for; it may be over by now. */
  #current: InstanceRequest | null = null

  constructor(parts: HeldParts) {
    this.#parts = parts
  }

  /** Whether this held request may be asked for, or is already. */
  isNext(request: InstanceRequest): boolean {
    return this.#current === null || this.#current === request || isOver(this.#current)
  }

  /** It could begin now. Asks once; call for what is next alone. */
  ask(request: InstanceRequest): void {
    if (this.#current === request) return
    this.#current = request
    this.#say(request)
  }

  askAgain(): void {
    if (this.#current?.isHeld === true && !isOver(this.#current)) this.#say(this.#current)
  }

  begin({ requestId, epoch }: BeginMessage, from: Address): void {
    const request = this.#parts.book.get(requestId)
    if (request === undefined || request.replyTo !== from || compareEpochs(epoch, request.message.epoch) !== 0) return
    request.message = { ...request.message, guarded: false }
  }

  #say({ message, replyTo }: InstanceRequest): void {
    const { instanceId, incarnation } = this.#parts.config
    this.#parts.effects.send(replyTo, { kind: 'may-begin', instanceId, incarnation, requestId: message.requestId, epoch: message.epoch })
  }
}

/** Its router knows that the engine outlived it. Where there is none, the engine did, or nobody is there to let it begin. */
function isOver({ state, isHeld, isOrphan, sequences, message }: InstanceRequest): boolean {
  if (state === 'dropped') return true
  if (isOrphan) return isHeld || sequences.some(({ hasEmittedHere }) => hasEmittedHere)
  return sequences.some(({ log, index }) => log.ackedIndex > message.emittedIds[index]!.length)
}
