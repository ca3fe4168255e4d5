// The instance actor: takes requests from routers and peers, drives one engine step after another, sends tokens.
//
//   step cycle: idle -> running(step) -> commit -> drafting (a speculator is waited for) -> running(next)
//                                                  or running(next) | idle at once
//
// 1. At most one step is in flight. While it runs, messages change bookkeeping only; the next step is planned at its commit.
// 2. Blocks are freed only when no step that knows them is in flight (running-set.ts, 3) and no install writes them
//    (hand-off/destination.ts, 2).
// 3. A failed step or install is the instance's death: it says `gone` once and does nothing more.
// 4. Idle with work left never lasts: every message ends with an attempt to plan.
import type { Actor, Address, Completion, EffectId, Incoming } from '@rubato/actor'
import type { EngineResult } from '@rubato/model'
import type { PlannedStep } from './batch/planned-step.ts'
import type { RunningSet } from './batch/running-set.ts'
import type { InstanceEffect } from './effects.ts'
import type { InstanceConfig } from './instance-config.ts'
import { instanceParts } from './instance-parts.ts'
import type { InstanceParts } from './instance-parts.ts'
import { assertConservation } from './integrity.ts'
import type { GoneMessage, InstanceMessage, InstanceRole, LoadMessage, MemberGoneMessage } from './messages.ts'
import { KnownRouters } from './report/known-routers.ts'
import { loadReport } from './report/load-report.ts'
import { SharedTimer } from './report/shared-timer.ts'

const BUSY_REPORT_MS = 200
const IDLE_REPORT_MS = 1000
/** Routers learn this soon what another of them sent: each sees its own requests only, and would pick the same instance as the others. */
const NEWS_REPORT_MS = 20
const ORPHAN_TTL_MS = 10_000

type StepState = { readonly kind: 'idle' | 'drafting' } | { readonly kind: 'running'; readonly effectId: EffectId; readonly step: PlannedStep; readonly startMs: number }
type Life = { readonly kind: 'serving' | 'draining' } | { readonly kind: 'dead'; readonly gone: GoneMessage }

export class InstanceActor implements Actor<InstanceMessage, InstanceEffect> {
  readonly #config: InstanceConfig
  readonly #parts: InstanceParts
  readonly #routers = new KnownRouters()
  readonly #reports: SharedTimer
  #step: StepState = { kind: 'idle' }
  #life: Life = { kind: 'serving' }
  #role: InstanceRole
  #lastStepMs = 0

  constructor(config: InstanceConfig) {
    this.#config = config
    this.#role = config.role ?? 'mixed'
    this.#parts = instanceParts(config)
    this.#reports = new SharedTimer(this.#parts.effects)
  }

  start(nowMs: number): readonly InstanceEffect[] {
    this.#reports.wakeBy(nowMs + IDLE_REPORT_MS, nowMs)
    for (const router of this.#config.announceTo ?? []) this.#routers.hear(router)
    this.#reportLoad()
    return this.#parts.effects.take()
  }

  receive(incoming: Incoming<InstanceMessage>, nowMs: number): readonly InstanceEffect[] {
    if (this.#life.kind === 'dead') return this.#answerDead(incoming)
    if (incoming.kind === 'completion' && this.#needsNothing(incoming)) return []
    if (incoming.kind === 'completion') this.#complete(incoming, nowMs)
    else this.#handle(incoming.payload, incoming.from, nowMs)
    this.#continue(nowMs)
    return this.#parts.effects.take()
  }

  /** Throws when blocks, tables and lists disagree. O(blocks + requests): for tests and idle times. */
  assertIntegrity(): void {
    const released = this.#step.kind === 'running' ? this.#step.step.released : []
    assertConservation({ ...this.#parts, config: this.#config }, released)
  }

  #handle(message: InstanceMessage, from: Address, nowMs: number): void {
    const { book, destination, effects, held, intake, migrations, moved, source } = this.#parts
    const isDraining = this.#life.kind === 'draining'
    switch (message.kind) {
      case 'generate':
        this.#routers.hear(from)
        if (this.#routers.size > 1) this.#reports.wakeBy(nowMs + NEWS_REPORT_MS, nowMs)
        return intake.generate(message, from, { isDraining, nowMs })
      case 'begin':
        return held.begin(message, from)
      case 'abort':
        moved.abort(message, from)
        destination.abort(message)
        return book.abort(message, nowMs)
      case 'ack':
        return book.acknowledge(message)
      case 'resend':
        if (moved.resend(message, from)) return
        return intake.resend(message, from)
      case 'locate':
        return intake.locate(message, from, nowMs)
      case 'attach':
        this.#routers.hear(from)
        return intake.attach(message, from, nowMs)
      case 'hello':
        this.#routers.hear(from)
        return effects.send(from, this.#load())
      case 'drain':
      case 'undrain':
        this.#life = { kind: message.kind === 'drain' ? 'draining' : 'serving' }
        return this.#reportLoad()
      case 'set-role':
        this.#role = message.role
        return this.#reportLoad()
      case 'migrate':
        return migrations.ask(message, nowMs)
      case 'speculator-joined':
        return this.#parts.remote?.join(message)
      case 'member-gone':
        return this.#memberGone(message, nowMs)
      case 'reserve':
        return destination.reserve(message, from, { isDraining, nowMs })
      case 'offer':
        return destination.offer(message, from, nowMs)
      case 'hand-off':
        return destination.handOff(message, from, nowMs)
      case 'reserved':
        return source.reserved(message, from, nowMs)
      case 'declined':
        return source.declined(message, from, nowMs)
      case 'not-pulled':
        return source.notPulled(message, from, nowMs)
      case 'taken':
        return source.taken(message, from, nowMs)
    }
  }

  #memberGone({ address }: MemberGoneMessage, nowMs: number): void {
    const { book, destination, migrations, remote, source } = this.#parts
    const ttlMs = this.#config.orphanTtlMs ?? ORPHAN_TTL_MS
    this.#routers.forget(address)
    remote?.lose(address)
    source.gone(address, nowMs)
    migrations.gone(address)
    destination.gone(address, (request) => book.orphanOne(request, ttlMs, nowMs))
    book.orphan(address, ttlMs, nowMs)
    for (const request of book) if (request.handOff === null && request.message.handOffTo?.address === address) request.mayHandOff = false
  }

  #complete(completion: Completion, nowMs: number): void {
    const { book, destination, draftTimer, expiry, held, peerTimer, remote, source } = this.#parts
    const { effectId, outcome } = completion
    if (completion.effectKind === 'draft') return this.#takeDrafts(completion, nowMs)
    if (this.#step.kind === 'running' && this.#step.effectId === effectId) this.#completeStep(this.#step, completion, nowMs)
    else if (this.#reports.take(effectId)) {
      this.#reportLoad()
      held.askAgain()
      book.expire(nowMs)
    } else if (expiry.take(effectId)) book.expire(nowMs)
    else if (draftTimer.take(effectId)) remote?.tick(nowMs)
    else if (peerTimer.take(effectId)) {
      source.tick(nowMs)
      destination.tick(nowMs)
    } else if (!source.served(completion, nowMs) && destination.complete(completion, nowMs) === 'engine-failed') {
      this.#die(outcome.kind === 'failed' ? outcome.error.message : `the engine command was ${outcome.kind}`)
    }
  }

  /** What a speculator answered, or that it did not. */
  #takeDrafts(completion: Completion, nowMs: number): void {
    const { remote, speculation } = this.#parts
    const arrived = remote?.complete(completion, nowMs) ?? null
    if (arrived !== null) speculation?.takeRemote(arrived, nowMs)
  }

  #completeStep({ step, startMs }: Extract<StepState, { kind: 'running' }>, { outcome }: Completion, nowMs: number): void {
    const { clock, committer, migrations, remote, running, source, speculation, stepTimes } = this.#parts
    if (outcome.kind !== 'done') return this.#die(outcome.kind === 'failed' ? outcome.error.message : `the engine step was ${outcome.kind}`, begunIds(step, running))
    const result = outcome.value as EngineResult
    if (result.kind !== 'step' || result.stepId !== step.command.stepId) return this.#die('the engine answered another command')
    this.#step = { kind: 'idle' }
    this.#lastStepMs = result.stepMs
    speculation?.observe(step, result, nowMs)
    clock.observe(step, result)
    stepTimes.startMs = startMs
    committer.commit(step, result, nowMs)
    source.progress(nowMs)
    migrations.next(nowMs)
    if (remote === null) return
    remote.ask(nowMs)
    if (remote.isAwaiting(nowMs)) this.#step = { kind: 'drafting' }
  }

  /** Sends and spans are not waited for. A timer that the shell refused is set again by the next message, not at once. */
  #needsNothing({ effectId, effectKind, outcome }: Completion): boolean {
    if (effectKind !== 'timer') return effectKind === 'send' || effectKind === 'cancel' || effectKind === 'span' || effectKind === 'draft-news'
    if (outcome.kind === 'done') return false
    const { draftTimer, expiry, peerTimer } = this.#parts
    if (!this.#reports.take(effectId) && !expiry.take(effectId) && !draftTimer.take(effectId)) peerTimer.take(effectId)
    return true
  }

  /** Plans when no step is running. The engine's command goes out before the tokens of the step before it. */
  #continue(nowMs: number): void {
    if (this.#life.kind === 'dead') return
    const { destination, effects, outbox, planner, remote } = this.#parts
    destination.advance(nowMs)
    if (this.#step.kind === 'drafting' && remote?.isAwaiting(nowMs) !== true) this.#step = { kind: 'idle' }
    if (this.#step.kind === 'idle') {
      const step = planner.plan(nowMs)
      if (step !== null) this.#step = { kind: 'running', effectId: effects.engine(step.command), step, startMs: nowMs }
      if (step !== null && step.released.length > 0) remote?.forget(step.command.release)
    }
    outbox.flush(effects)
    this.#reports.wakeBy(nowMs + (this.#step.kind === 'running' ? BUSY_REPORT_MS : IDLE_REPORT_MS), nowMs)
  }

  #load(): LoadMessage {
    return loadReport({ ...this.#parts, config: this.#config }, { role: this.#role, isDraining: this.#life.kind === 'draining', lastStepMs: this.#lastStepMs })
  }

  #reportLoad(): void {
    const load = this.#load()
    for (const router of this.#routers) this.#parts.effects.send(router, load)
  }

  /** begunIds: where a step failed, the requests that it may have been the first of. */
  #die(reason: string, begunIds: readonly string[] | null = null): void {
    const { instanceId, incarnation } = this.#config
    const gone: GoneMessage = { kind: 'gone', instanceId, incarnation, reason, ...(begunIds === null ? {} : { begunIds }) }
    this.#life = { kind: 'dead', gone }
    const { destination, draftTimer, effects, expiry, peerTimer, source } = this.#parts
    for (const timer of [this.#reports, expiry, peerTimer, draftTimer]) timer.cancel()
    source.stop()
    destination.stop()
    for (const router of this.#routers) effects.send(router, gone)
  }

  /** Routers that missed the news hear it when they ask; everything else is too late. */
  #answerDead(incoming: Incoming<InstanceMessage>): readonly InstanceEffect[] {
    if (this.#life.kind !== 'dead' || incoming.kind === 'completion') return []
    const asks = incoming.payload.kind === 'generate' || incoming.payload.kind === 'hello'
    if (asks && this.#routers.hear(incoming.from)) this.#parts.effects.send(incoming.from, this.#life.gone)
    return this.#parts.effects.take()
  }
}

/** Requests that the step introduced to the engine, computed prompts of, or worked on before their first token here. */
function begunIds({ begun, cells, command }: PlannedStep, running: RunningSet): readonly string[] {
  const decoding = command.decodes.flatMap(({ handle }) => running.sequenceOf(handle) ?? []).filter(({ hasEmittedHere }) => !hasEmittedHere)
  const requests = [...begun, ...[...cells.map(({ sequence }) => sequence), ...decoding].map(({ request }) => request)]
  return [...new Set(requests.map(({ message }) => message.requestId))]
}
