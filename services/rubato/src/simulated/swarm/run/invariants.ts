// All checks and counts of one run, tied to what its actors do.
import type { Effect } from '@rubato/actor'
import { InstanceActor } from '@rubato/instance'
import { EpochCheck } from '../check/epoch-check.ts'
import { TokenCheck } from '../check/token-check.ts'
import { isSend, watched } from '../check/transition.ts'
import type { Transition } from '../check/transition.ts'
import type { Verdict } from '../check/violation.ts'
import { WorkCheck } from '../check/work-check.ts'
import type { SimHosted } from '../../cluster/index.ts'
import { Coverage } from '../coverage/coverage.ts'
import type { SwarmPlan } from '../draw/plan.ts'
import { SWARM_SHAPE } from '../draw/shape.ts'

/** Completions and messages that touch no block. */
const IDLE_INCOMING = new Set(['send', 'cancel', 'span', 'draft-news', 'ack', 'hello'])
/** Every so many seeds an instance proves its books after all that touched them, else now and then: it is most of the work. */
const THOROUGH_SEEDS = 4
const INTEGRITY_EVERY = 8
/** KV is on its way for so long after it was last offered or pulled. */
const SHIPPING_MS = 30

export class Invariants {
  readonly tokens: TokenCheck
  readonly work: WorkCheck
  readonly coverage = new Coverage()
  readonly #verdict: Verdict
  readonly #epochs: EpochCheck
  /** Instances that were hosted last, by process: the actors themselves, whatever they are wrapped in. */
  readonly #actors = new Map<string, InstanceActor>()
  readonly #integrityEvery: number
  #numTouched = 0
  readonly #shippedMs = new Map<string, number>()

  constructor({ seed, fleet: { instances } }: SwarmPlan, verdict: Verdict) {
    this.#verdict = verdict
    this.#integrityEvery = seed % THOROUGH_SEEDS === 0 ? 1 : INTEGRITY_EVERY
    this.tokens = new TokenCheck(SWARM_SHAPE, verdict)
    this.work = new WorkCheck(new Map(instances.map(({ name, maxNumBatchedTokens }) => [name, maxNumBatchedTokens])), verdict)
    this.#epochs = new EpochCheck(verdict, this.coverage)
  }

  /** Sees all that the hosted actor does. `plain`: the same one, not wrapped in anything. */
  watch(hosted: SimHosted, plain: SimHosted): Pick<SimHosted, 'actor' | 'effects'> {
    const { address, process } = hosted
    if (plain.actor instanceof InstanceActor) {
      this.#actors.set(process, plain.actor)
      return watched(hosted, (transition) => this.#instance(transition))
    }
    return watched(hosted, address.startsWith('router/') ? (transition) => this.#router(transition) : (transition) => this.coverage.migrator(transition))
  }

  /** Processes between which KV is on its way. */
  shippers(nowMs: number): readonly string[] {
    return [...this.#shippedMs].flatMap(([process, atMs]) => (nowMs - atMs < SHIPPING_MS ? [process] : []))
  }

  /**
   * The run is over: asks every instance for requests that have ended. Tokens of finished ones may stay for a while, nothing else.
   * Its world must not go on after that.
   */
  findGhosts(requestIds: readonly string[], nowMs: number): void {
    for (const [process, actor] of this.#actors) {
      for (const requestId of requestIds) {
        const answer = actor.receive({ kind: 'message', from: 'swarm', payload: { kind: 'locate', requestId } }, nowMs)
        const live = answer.find(isLive)
        if (live !== undefined) this.#verdict.fail('leak', `${process} still holds ${requestId}, which has ended`, [requestId])
      }
    }
  }

  #instance(transition: Transition): void {
    const { address, incoming, process } = transition
    const what = incoming === null ? 'start' : incoming.kind === 'message' ? incoming.payload.kind : incoming.effectKind
    if (!IDLE_INCOMING.has(what) && this.#numTouched++ % this.#integrityEvery === 0) this.#verdict.check('conservation', [address], () => this.#actors.get(process)!.assertIntegrity())
    this.work.instance(transition)
    this.#epochs.instance(transition)
    this.coverage.instance(transition)
    if (transition.effects.some(({ kind }) => kind === 'kv-pull' || kind === 'kv-serve')) this.#shippedMs.set(process, transition.nowMs)
  }

  #router(transition: Transition): void {
    this.#epochs.router(transition)
    this.coverage.router(transition)
  }
}

/** It says that it has a request with choices that have not finished. */
function isLive(effect: Effect): boolean {
  if (!isSend(effect) || effect.payload.kind !== 'located') return false
  const { finishedSequences, emittedIds } = effect.payload.request
  return finishedSequences.length < emittedIds.length
}
