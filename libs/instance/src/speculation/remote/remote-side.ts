// Speculation's way to speculators: turns what a plan wants drafted into an ask once the step's tokens are committed, and what is
// answered into trees of sequences that still stand where they were asked for.
import type { Address, Completion } from '@rubato/actor'
import type { AnsweredTree } from '@rubato/model'
import { depthOf } from '@rubato/policy'
import type { DraftWork } from '@rubato/policy'
import type { RunningSet } from '../../batch/running-set.ts'
import type { EffectList } from '../../effects.ts'
import type { InstanceConfig } from '../../instance-config.ts'
import type { SharedTimer } from '../../report/shared-timer.ts'
import { tokensBetween } from '../../request/request.ts'
import type { InstanceRequest, Sequence } from '../../request/request.ts'
import type { SpeculatorPeer } from './known-speculators.ts'
import type { RemoteDraftLoad } from './remote-counters.ts'
import { RemoteDrafts } from './remote-drafts.ts'
import type { RemoteSequence, RemoteTrees, RemoteWish } from './remote-drafts.ts'

export interface RemoteSideParts {
  readonly config: InstanceConfig
  readonly running: RunningSet
  readonly effects: EffectList
  readonly timer: SharedTimer
}

/** What came for one ask. */
export interface RemoteArrival extends Omit<RemoteTrees, 'trees'> {
  /** Those that still can be verified. */
  readonly trees: readonly { readonly sequence: Sequence; readonly tree: AnsweredTree }[]
  /** Of all that came; null: nothing did. */
  readonly work: DraftWork | null
}

export class RemoteSide {
  readonly #parts: RemoteSideParts
  readonly #drafts: RemoteDrafts
  #planned: { readonly sequences: readonly Sequence[]; readonly wish: RemoteWish } | null = null

  constructor(parts: RemoteSideParts) {
    const { config: { instanceId, shape, speculators }, effects, timer } = parts
    this.#parts = parts
    this.#drafts = new RemoteDrafts({ instanceId, vocabSize: shape.vocabSize, speculators: speculators ?? [], effects, timer })
  }

  canAsk(nowMs: number): boolean {
    return this.#drafts.canAsk(nowMs)
  }

  /** The step waits for trees. */
  isAwaiting(nowMs: number): boolean {
    return this.#drafts.isAwaiting(nowMs)
  }

  join(peer: SpeculatorPeer): void {
    this.#drafts.join(peer)
  }

  lose(address: Address): void {
    this.#drafts.lose(address)
  }

  /** These sequences are to be drafted for once the step that is being planned is committed. */
  plan(sequences: readonly Sequence[], wish: RemoteWish): void {
    this.#planned = { sequences, wish }
  }

  /** The step is committed. */
  ask(nowMs: number): void {
    const planned = this.#planned
    this.#planned = null
    if (planned === null) return
    this.#drafts.ask(planned.sequences.flatMap((sequence) => this.#asked(sequence) ?? []), planned.wish, nowMs)
  }

  /** The request's prompt is about to be computed: a speculator can compute its own KV of it meanwhile. */
  introduce(request: InstanceRequest, nowMs: number): void {
    for (const sequence of request.live) this.#drafts.introduce(this.#described(sequence, sequence.slot!.handle), nowMs)
  }

  /** These handles were released. */
  forget(handles: readonly number[]): void {
    this.#drafts.forget(handles)
  }

  /** null: the completion is of no ask that is still out. */
  complete(completion: Completion, nowMs: number): RemoteArrival | null {
    const arrived = this.#drafts.complete(completion, nowMs)
    if (arrived === null) return null
    const trees = arrived.trees.flatMap((tree) => {
      const sequence = this.#parts.running.sequenceOf(tree.handle)
      return sequence === undefined || sequence.totalTokens !== tree.numTokens ? [] : [{ sequence, tree }]
    })
    return { ...arrived, trees, work: workOf(arrived.trees) }
  }

  /** Its timer fired. */
  tick(nowMs: number): void {
    this.#drafts.tick(nowMs)
  }

  load(): RemoteDraftLoad {
    return this.#drafts.load()
  }

  /** null: nothing is to be drafted for it, or it left the place that it was to be drafted at. */
  #asked(sequence: Sequence): RemoteSequence | null {
    const { log, request, slot, state, totalTokens } = sequence
    if (state !== 'decoding' || slot === null || slot.kvTokens !== totalTokens - 1) return null
    const maxDepth = Math.min(request.message.sampling.maxTokens - log.length, this.#parts.config.shape.maxModelLen - totalTokens) - 1
    return maxDepth < 1 ? null : { ...this.#described(sequence, slot.handle), maxDepth }
  }

  #described(sequence: Sequence, handle: number): Omit<RemoteSequence, 'maxDepth'> {
    const { index, request, totalTokens } = sequence
    return {
      handle,
      numTokens: totalTokens,
      introduction: { sequence: index, promptTokens: request.promptLen, sampling: request.message.sampling },
      tokensFrom: (from) => tokensBetween(sequence, from, totalTokens),
    }
  }
}

function workOf(trees: readonly AnsweredTree[]): DraftWork | null {
  if (trees.length === 0) return null
  const sizes = trees.map((tree) => ({ nodes: tree.tokenIds.length, levels: depthOf(tree, tree.tokenIds.length) }))
  return { numSequences: trees.length, levels: Math.max(...sizes.map(({ levels }) => levels)), nodes: sizes.reduce((sum, { nodes }) => sum + nodes, 0) }
}
