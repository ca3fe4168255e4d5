// The event-loop core that the live and the simulated shell share: one incarnation of one actor, its queue, its effects.
//
// 1. receive() is never re-entered: what arrives while it runs waits, in order of arrival.
// 2. Every effect gets exactly one completion, whatever its handler does: throw, complete twice, or late.
// 3. A run counts against its kind's limit until its handler settles it, so cancelled work is bounded too.
// 4. After stop() or a crash nothing reaches the actor; its handlers are aborted and their outcomes dropped.
// 5. A turn handles a bounded number of messages, then yields to the scheduler.
import { RubatoError } from '@rubato/config'
import type { Actor, Address, CancelEffect, Effect, EffectId, Incoming, Outcome } from './actor.ts'
import { CANCELLED, failed } from './effect-port.ts'
import type { EffectTable, Scheduler } from './effect-port.ts'
import { RunningEffect } from './running-effect.ts'
import type { EffectSlot, SettleListener } from './running-effect.ts'

export interface ActorHostOptions {
  readonly actor: Actor<unknown>
  readonly effects: EffectTable
  readonly scheduler: Scheduler
  /** The actor threw or broke the effect contract; the host has already stopped itself. */
  readonly onCrash: (error: unknown) => void
  /** Sees everything just before the actor does (traces, counters). */
  readonly onIncoming?: (incoming: Incoming<unknown>) => void
}

const MAX_MESSAGES_PER_TURN = 256
/** A queue longer than this is compacted when a turn ends. */
const COMPACT_ABOVE = 1024

const CANCEL_HIT: Outcome = Object.freeze({ kind: 'done', value: true })
const CANCEL_MISS: Outcome = Object.freeze({ kind: 'done', value: false })

export class ActorHost {
  readonly #options: ActorHostOptions
  readonly #slots = new Map<string, EffectSlot>()
  readonly #live = new Map<EffectId, RunningEffect>()
  readonly #settleListener: SettleListener = (run, outcome) => this.#settled(run, outcome)
  #queue: Incoming<unknown>[] = []
  #head = 0
  #phase: 'new' | 'running' | 'stopped' = 'new'
  #isBusy = false
  #resume: (() => void) | null = null
  #numUnsettled = 0
  #onAllSettled: (() => void) | null = null

  constructor(options: ActorHostOptions) {
    this.#options = options
    for (const [kind, port] of Object.entries(options.effects)) this.#slots.set(kind, { port, numUnsettled: 0 })
  }

  /** Effects whose handlers have not settled, abandoned ones included. */
  get numUnsettled(): number {
    return this.#numUnsettled
  }

  /** Runs the actor's start() and what follows from it. Call once. */
  start(): void {
    if (this.#phase !== 'new') throw new RubatoError('actor_started', 'an actor host starts once')
    this.#phase = 'running'
    this.#isBusy = true
    this.#transition(null)
    this.#isBusy = false
    this.#pump()
  }

  /** Hands a message to the actor: at once, or after what waits before it. Ignored unless the actor runs. */
  deliver(from: Address, payload: unknown): void {
    if (this.#phase !== 'running') return
    this.#queue.push({ kind: 'message', from, payload })
    this.#pump()
  }

  /** Ends the incarnation, idempotently. onAllSettled is called once every handler has settled, perhaps at once. */
  stop(onAllSettled?: () => void): void {
    if (this.#phase !== 'stopped') {
      this.#phase = 'stopped'
      this.#queue = []
      this.#head = 0
      this.#resume?.()
      this.#resume = null
      const live = [...this.#live.values()]
      this.#live.clear()
      for (const run of live) run.abandon()
    }
    if (onAllSettled === undefined) return
    if (this.#numUnsettled === 0) onAllSettled()
    else this.#onAllSettled = onAllSettled
  }

  #settled(run: RunningEffect, outcome: Outcome | null): void {
    run.slot.numUnsettled -= 1
    this.#numUnsettled -= 1
    if (outcome !== null) {
      this.#live.delete(run.effect.id)
      this.#complete(run.effect, outcome)
      this.#pump()
    }
    if (this.#numUnsettled === 0 && this.#onAllSettled !== null) {
      const notify = this.#onAllSettled
      this.#onAllSettled = null
      notify()
    }
  }

  #complete(effect: Effect, outcome: Outcome): void {
    this.#queue.push({ kind: 'completion', effectId: effect.id, effectKind: effect.kind, outcome })
  }

  #pump(): void {
    if (this.#isBusy || this.#resume !== null) return
    this.#isBusy = true
    let budget = MAX_MESSAGES_PER_TURN
    while (this.#head < this.#queue.length && budget > 0) {
      const incoming = this.#queue[this.#head]!
      this.#head += 1
      budget -= 1
      this.#transition(incoming)
    }
    this.#isBusy = false
    this.#endTurn()
  }

  #endTurn(): void {
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0
      this.#head = 0
      return
    }
    if (this.#head > COMPACT_ABOVE) {
      this.#queue.splice(0, this.#head)
      this.#head = 0
    }
    this.#resume = this.#options.scheduler.schedule(0, () => {
      this.#resume = null
      this.#pump()
    })
  }

  /** One state transition (null: start) and its effects. */
  #transition(incoming: Incoming<unknown> | null): void {
    const { actor, scheduler, onIncoming } = this.#options
    try {
      if (incoming !== null) onIncoming?.(incoming)
      const nowMs = scheduler.nowMs()
      const effects = incoming === null ? actor.start(nowMs) : actor.receive(incoming, nowMs)
      for (const effect of effects) {
        if (this.#phase !== 'running') return
        this.#perform(effect)
      }
    } catch (error) {
      this.stop()
      this.#options.onCrash(error)
    }
  }

  #perform(effect: Effect): void {
    if (effect.kind === 'cancel') return this.#cancel(effect as CancelEffect)
    const slot = this.#slots.get(effect.kind)
    if (slot === undefined) return this.#complete(effect, { kind: 'rejected', reason: `this shell performs no ${effect.kind} effects` })
    if (slot.numUnsettled >= slot.port.limit) return this.#complete(effect, { kind: 'rejected', reason: `${slot.port.limit} ${effect.kind} effects are in flight` })
    if (this.#live.has(effect.id)) throw new RubatoError('duplicate_effect_id', `effect id ${effect.id} (${effect.kind}) is still in flight`)
    const run = new RunningEffect(effect, slot, this.#settleListener)
    slot.numUnsettled += 1
    this.#numUnsettled += 1
    this.#live.set(effect.id, run)
    try {
      slot.port.perform(effect, run)
    } catch (error) {
      if (run.isSettled) throw error
      run.complete(failed(error))
    }
  }

  #cancel(effect: CancelEffect): void {
    const target = this.#live.get(effect.target)
    if (target !== undefined) {
      this.#live.delete(effect.target)
      this.#complete(target.effect, CANCELLED)
      target.abandon()
    }
    this.#complete(effect, target === undefined ? CANCEL_MISS : CANCEL_HIT)
  }
}
