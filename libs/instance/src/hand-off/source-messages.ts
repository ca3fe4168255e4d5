// What the source of a hand-off says to its destination.
import type { Address } from '@rubato/actor'
import type { EffectList } from '../effects.ts'
import type { InstanceConfig } from '../instance-config.ts'
import type { Epoch } from '../messages.ts'
import type { Offer, OutgoingHandOff } from './outgoing.ts'

export interface SourceMessageParts {
  readonly config: InstanceConfig
  readonly effects: EffectList
}

export class SourceMessages {
  readonly #parts: SourceMessageParts

  constructor(parts: SourceMessageParts) {
    this.#parts = parts
  }

  reserve(outgoing: OutgoingHandOff, nowMs: number): void {
    const { config, effects } = this.#parts
    const { request } = outgoing
    outgoing.lastSaidMs = nowMs
    effects.send(outgoing.to, {
      kind: 'reserve', sourceId: config.instanceId, request: outgoing.requestMessage(nowMs), ...(outgoing.live === null ? {} : { isLive: true }), router: request.replyTo,
      remainingMs: request.deadlineAtMs === null ? null : Math.max(0, request.deadlineAtMs - nowMs),
      kvAddress: config.kvShipping!.kvAddress, modelFingerprint: config.shape.modelFingerprint,
    })
  }

  offer(outgoing: OutgoingHandOff, { sequence, firstBlock, numBlocks, token }: Offer): void {
    const { requestId } = outgoing.request.message
    this.#parts.effects.send(outgoing.to, { kind: 'offer', requestId, epoch: outgoing.epoch, sequence, firstBlock, numBlocks, token })
  }

  handOff(outgoing: OutgoingHandOff, nowMs: number): void {
    outgoing.lastSaidMs = nowMs
    this.#parts.effects.send(outgoing.to, outgoing.handOffMessage())
  }

  abort(to: Address, { requestId, epoch }: { readonly requestId: string; readonly epoch: Epoch }, sequence: number | null): void {
    this.#parts.effects.send(to, { kind: 'abort', requestId, epoch, sequence })
  }
}
