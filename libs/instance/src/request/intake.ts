// How requests come to belong to a router here: dispatched, found, taken over from another router, or refused.
//
// 1. A live request is replaced by a higher epoch only; a finished one, of which nothing but tokens is left, by any dispatch
//    that is not an older one of the same router.
import type { Address } from '@rubato/actor'
import type { Admission } from '../batch/admission.ts'
import type { StepPlanner } from '../batch/step-planner.ts'
import { timingOf } from '../batch/step-commit.ts'
import type { EffectList } from '../effects.ts'
import { compareEpochs } from '../epoch.ts'
import type { HandOffDestination } from '../hand-off/destination.ts'
import type { HandOffSource } from '../hand-off/source.ts'
import type { InstanceConfig } from '../instance-config.ts'
import type { AttachMessage, Epoch, GenerateMessage, LocateMessage, RefusedMessage, ResendMessage } from '../messages.ts'
import type { Outbox } from '../report/outbox.ts'
import { currentMessage } from './located.ts'
import { InstanceRequest } from './request.ts'
import type { RequestBook } from './request-book.ts'

export interface IntakeParts {
  readonly config: InstanceConfig
  readonly effects: EffectList
  readonly outbox: Outbox
  readonly book: RequestBook
  readonly admission: Admission
  readonly planner: StepPlanner
  readonly source: HandOffSource
  readonly destination: HandOffDestination
}

export class Intake {
  readonly #parts: IntakeParts
  #numAccepted = 0

  constructor(parts: IntakeParts) {
    this.#parts = parts
  }

  /** Place of the next request in order of arrival. */
  nextArrival(): number {
    return this.#numAccepted++
  }

  generate(message: GenerateMessage, from: Address, state: { readonly isDraining: boolean; readonly nowMs: number }): void {
    const { admission, book, destination, planner } = this.#parts
    const { nowMs } = state
    const standing = this.#standing(message, from)
    if (standing === 'known') return
    if (standing === 'older') return this.#refuse(message, from, 'superseded', 'the instance holds this request under another epoch')
    const current = book.get(message.requestId)
    if (current !== undefined) book.drop(current, nowMs)
    destination.supersede(message.requestId)
    if (state.isDraining) return this.#refuse(message, from, 'draining', 'the instance is draining')
    const refusal = admission.refusal(message)
    if (refusal !== null) return this.#refuse(message, from, 'too_long', refusal)
    const request = new InstanceRequest(message, { replyTo: from, arrivalOrder: this.nextArrival(), nowMs })
    if (request.live.length === 0) return
    book.add(request, nowMs)
    this.#endExhausted(request, nowMs)
    if (request.live.length > 0) planner.enqueue(request)
  }

  locate({ requestId }: LocateMessage, from: Address, nowMs: number): void {
    const { book, config, effects } = this.#parts
    const request = book.get(requestId)
    if (request === undefined) return
    const { instanceId, incarnation } = config
    effects.send(from, { kind: 'located', instanceId, incarnation, request: currentMessage(request, nowMs), epoch: request.message.epoch, router: request.replyTo })
  }

  /** Whoever asks for tokens of a request that never came, or was forgotten, is told: it would wait for ever. */
  resend(message: ResendMessage, from: Address): void {
    const { book, destination, effects, config } = this.#parts
    const { requestId, epoch } = message
    const held = book.get(requestId)
    const isUnknown = held === undefined ? destination.epochOf(requestId) === null : epoch.recovery > held.message.epoch.recovery
    if (!isUnknown) return book.resend(message)
    const why = 'the instance knows nothing of this request'
    effects.send(from, { kind: 'refused', instanceId: config.instanceId, requestId, epoch, reason: 'superseded', message: why, retryAfterMs: null, heldEpoch: null })
  }

  /** Always answered: every choice says what it has from its index on, be it nothing yet. */
  attach(message: AttachMessage, from: Address, nowMs: number): void {
    const { book, source, outbox } = this.#parts
    const { requestId, epoch, fromIndices } = message
    const request = book.get(requestId)
    if (request === undefined || epoch.recovery <= request.message.epoch.recovery) {
      const isRepeat = request !== undefined && request.replyTo === from && compareEpochs(epoch, request.message.epoch) === 0
      if (!isRepeat) return this.#refuse(message, from, 'superseded', 'the instance does not hold this request under an older recovery')
    } else {
      source.keep(request, nowMs)
      // Losses are counted by the router that is gone: to this one it is a request like any other.
      request.message = { ...request.message, epoch, handOffTo: null, guarded: false }
      request.mayHandOff = false
    }
    book.adopt(request, from, nowMs)
    for (const sequence of request.sequences) {
      sequence.log.rewind(fromIndices[sequence.index] ?? 0)
      outbox.add(sequence, sequence.log.unheard())
    }
  }

  #standing(message: GenerateMessage, from: Address): 'new' | 'known' | 'older' {
    const { book, destination } = this.#parts
    const { requestId, epoch } = message
    const reserved = destination.epochOf(requestId)
    if (reserved !== null && compareEpochs(epoch, reserved) <= 0) return 'older'
    const current = book.get(requestId)
    if (current === undefined) return 'new'
    const order = compareEpochs(epoch, current.message.epoch)
    const isSameRouter = current.replyTo === from
    if (current.state === 'finished') return order < 0 && isSameRouter ? 'older' : 'new'
    if (!isSameRouter && !current.isOrphan) return 'older'
    if (order > 0) return 'new'
    return order === 0 && isSameRouter ? 'known' : 'older'
  }

  /** Choices that were recovered with all their tokens only lack their end. */
  #endExhausted(request: InstanceRequest, nowMs: number): void {
    const { book, outbox } = this.#parts
    const { maxTokens } = request.message.sampling
    for (const sequence of request.live.filter(({ log }) => log.length >= maxTokens)) {
      const finish = { reason: 'length', stopTokenId: null, timing: timingOf(sequence) } as const
      sequence.log.finish(finish)
      sequence.state = 'finished'
      outbox.add(sequence, { firstIndex: sequence.log.length, tokenIds: [], logprobs: null, finish })
      request.live = request.live.filter((other) => other !== sequence)
    }
    if (request.live.length === 0) book.end(request, nowMs)
  }

  #refuse({ requestId, epoch }: { readonly requestId: string; readonly epoch: Epoch }, to: Address, reason: RefusedMessage['reason'], message: string): void {
    const { book, config, destination, effects } = this.#parts
    const heldEpoch = book.get(requestId)?.message.epoch ?? destination.epochOf(requestId)
    effects.send(to, { kind: 'refused', instanceId: config.instanceId, requestId, epoch, reason, message, retryAfterMs: null, heldEpoch })
  }
}
