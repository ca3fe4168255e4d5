// The instance actor: takes requests from routers, drives one engine step after another, sends tokens.
//
//   step cycle: idle -> running(step) -> commit -> running(next) | idle
//
// 1. At most one step is in flight. While it runs, messages change bookkeeping only; the next step is planned at its commit.
// 2. Blocks are freed only when no step that knows them is in flight (running-set.ts, 3).
// 3. A failed step is the instance's death: it says `gone` once and does nothing more.
// 4. Idle with work left never lasts: every message ends with an attempt to plan.
import type { Actor, Address, Completion, EffectId, Incoming } from '@rubato/actor'
import { BlockPool } from '@rubato/kv'
import type { EngineResult } from '@rubato/model'
import { Admission } from './batch/admission.ts'
import type { PlannedStep } from './batch/planned-step.ts'
import { RunningSet } from './batch/running-set.ts'
import { StepClock } from './batch/step-clock.ts'
import { StepCommitter, timingOf } from './batch/step-commit.ts'
import { StepPlanner } from './batch/step-planner.ts'
import { EffectList } from './effects.ts'
import type { InstanceEffect } from './effects.ts'
import { compareEpochs } from './epoch.ts'
import type { InstanceConfig } from './instance-config.ts'
import { assertConservation } from './integrity.ts'
import type { GenerateMessage, GoneMessage, InstanceMessage, LoadMessage, RefusedMessage } from './messages.ts'
import { KnownRouters } from './report/known-routers.ts'
import { loadReport } from './report/load-report.ts'
import { Outbox } from './report/outbox.ts'
import { SharedTimer } from './report/shared-timer.ts'
import { InstanceRequest } from './request/request.ts'
import { RequestBook } from './request/request-book.ts'
import { WaitingQueue } from './request/waiting-queue.ts'

const BUSY_REPORT_MS = 200
const IDLE_REPORT_MS = 1000

type StepState = { readonly kind: 'idle' } | { readonly kind: 'running'; readonly effectId: EffectId; readonly step: PlannedStep }
type Life = { readonly kind: 'serving' | 'draining' } | { readonly kind: 'dead'; readonly reason: string }

export class InstanceActor implements Actor<InstanceMessage, InstanceEffect> {
  readonly #config: InstanceConfig
  readonly #effects = new EffectList()
  readonly #pool: BlockPool
  readonly #waiting = new WaitingQueue()
  readonly #running = new RunningSet()
  readonly #admission: Admission
  readonly #planner: StepPlanner
  readonly #committer: StepCommitter
  readonly #outbox: Outbox
  readonly #book: RequestBook
  readonly #routers = new KnownRouters()
  readonly #reports = new SharedTimer(this.#effects)
  readonly #expiry = new SharedTimer(this.#effects)
  #step: StepState = { kind: 'idle' }
  #life: Life = { kind: 'serving' }
  #numAccepted = 0
  #lastStepMs = 0
  readonly #clock: StepClock

  constructor(config: InstanceConfig) {
    this.#config = config
    this.#clock = new StepClock(config.costModel ?? null)
    this.#pool = new BlockPool(config.shape.numBlocks, { enablePrefixCache: config.enablePrefixCache })
    this.#admission = new Admission(config, this.#pool)
    this.#outbox = new Outbox(config)
    const shared = { config, pool: this.#pool, waiting: this.#waiting, running: this.#running, outbox: this.#outbox }
    this.#planner = new StepPlanner({ ...shared, admission: this.#admission, clock: this.#clock })
    this.#book = new RequestBook({ ...shared, expiry: this.#expiry })
    this.#committer = new StepCommitter({ ...shared, onRequestEnd: (request, nowMs) => this.#book.end(request, nowMs) })
  }

  start(nowMs: number): readonly InstanceEffect[] {
    this.#reports.wakeBy(nowMs + IDLE_REPORT_MS, nowMs)
    for (const router of this.#config.announceTo ?? []) this.#routers.hear(router)
    this.#reportLoad()
    return this.#effects.take()
  }

  receive(incoming: Incoming<InstanceMessage>, nowMs: number): readonly InstanceEffect[] {
    if (this.#life.kind === 'dead') return this.#answerDead(incoming)
    if (incoming.kind === 'completion' && this.#needsNothing(incoming)) return []
    if (incoming.kind === 'completion') this.#complete(incoming, nowMs)
    else this.#handle(incoming.payload, incoming.from, nowMs)
    this.#continue(nowMs)
    return this.#effects.take()
  }

  /** Throws when blocks, tables and lists disagree. O(blocks + requests): for tests and idle times. */
  assertIntegrity(): void {
    const released = this.#step.kind === 'running' ? this.#step.step.released : []
    assertConservation({ pool: this.#pool, waiting: this.#waiting, running: this.#running, book: this.#book, config: this.#config }, released)
  }

  #handle(message: InstanceMessage, from: Address, nowMs: number): void {
    switch (message.kind) {
      case 'generate':
        this.#routers.hear(from)
        return this.#generate(message, from, nowMs)
      case 'abort':
        return this.#book.abort(message, nowMs)
      case 'ack':
        return this.#book.acknowledge(message)
      case 'resend':
        return this.#book.resend(message)
      case 'hello':
        this.#routers.hear(from)
        return this.#effects.send(from, this.#load())
      case 'drain':
      case 'undrain':
        this.#life = { kind: message.kind === 'drain' ? 'draining' : 'serving' }
        return this.#reportLoad()
    }
  }

  #generate(message: GenerateMessage, from: Address, nowMs: number): void {
    const current = this.#book.get(message.requestId)
    if (current !== undefined) {
      const order = compareEpochs(message.epoch, current.message.epoch)
      if (order === 0) return
      if (order < 0) return this.#refuse(message, from, 'superseded', 'a newer epoch of this request is here')
      this.#book.drop(current)
    }
    if (this.#life.kind === 'draining') return this.#refuse(message, from, 'draining', 'the instance is draining')
    const refusal = this.#admission.refusal(message)
    if (refusal !== null) return this.#refuse(message, from, 'too_long', refusal)
    const request = new InstanceRequest(message, { replyTo: from, arrivalOrder: this.#numAccepted++, nowMs })
    if (request.live.length === 0) return
    this.#book.add(request, nowMs)
    this.#endExhausted(request, nowMs)
    if (request.live.length > 0) this.#planner.enqueue(request)
  }

  /** Choices that were recovered with all their tokens only lack their end. */
  #endExhausted(request: InstanceRequest, nowMs: number): void {
    const { maxTokens } = request.message.sampling
    for (const sequence of request.live.filter(({ log }) => log.length >= maxTokens)) {
      const finish = { reason: 'length', stopTokenId: null, timing: timingOf(sequence) } as const
      sequence.log.finish(finish)
      sequence.state = 'finished'
      this.#outbox.add(sequence, { firstIndex: sequence.log.length, tokenIds: [], logprobs: null, finish })
      request.live = request.live.filter((other) => other !== sequence)
    }
    if (request.live.length === 0) this.#book.end(request, nowMs)
  }

  #complete({ effectId, outcome }: Completion, nowMs: number): void {
    if (this.#step.kind === 'running' && this.#step.effectId === effectId) {
      const { step } = this.#step
      if (outcome.kind !== 'done') return this.#die(outcome.kind === 'failed' ? outcome.error.message : `the engine step was ${outcome.kind}`)
      const result = outcome.value as EngineResult
      if (result.kind !== 'step' || result.stepId !== step.command.stepId) return this.#die('the engine answered another command')
      this.#step = { kind: 'idle' }
      this.#lastStepMs = result.stepMs
      this.#clock.observe(step, result)
      this.#committer.commit(step, result, nowMs)
    } else if (this.#reports.take(effectId)) {
      this.#reportLoad()
      this.#book.expire(nowMs)
    } else if (this.#expiry.take(effectId)) this.#book.expire(nowMs)
  }

  /** Sends are not waited for. A timer that the shell refused is set again by the next message, not at once. */
  #needsNothing({ effectId, effectKind, outcome }: Completion): boolean {
    if (effectKind !== 'timer') return effectKind !== 'engine'
    if (outcome.kind === 'done') return false
    if (!this.#reports.take(effectId)) this.#expiry.take(effectId)
    return true
  }

  /** Plans when no step is running. The engine's command goes out before the tokens of the step before it. */
  #continue(nowMs: number): void {
    if (this.#life.kind === 'dead') return
    if (this.#step.kind === 'idle') {
      const step = this.#planner.plan(nowMs)
      if (step !== null) this.#step = { kind: 'running', effectId: this.#effects.engine(step.command), step }
    }
    this.#outbox.flush(this.#effects)
    this.#reports.wakeBy(nowMs + (this.#step.kind === 'running' ? BUSY_REPORT_MS : IDLE_REPORT_MS), nowMs)
  }

  #refuse(message: GenerateMessage, to: Address, reason: RefusedMessage['reason'], text: string): void {
    const { requestId, epoch } = message
    this.#effects.send(to, { kind: 'refused', instanceId: this.#config.instanceId, requestId, epoch, reason, message: text, retryAfterMs: null })
  }

  #load(): LoadMessage {
    const sources = { config: this.#config, pool: this.#pool, waiting: this.#waiting, running: this.#running, planner: this.#planner }
    return loadReport(sources, { isDraining: this.#life.kind === 'draining', lastStepMs: this.#lastStepMs })
  }

  #reportLoad(): void {
    const load = this.#load()
    for (const router of this.#routers) this.#effects.send(router, load)
  }

  #die(reason: string): void {
    this.#life = { kind: 'dead', reason }
    this.#reports.cancel()
    this.#expiry.cancel()
    for (const router of this.#routers) this.#effects.send(router, this.#gone(reason))
  }

  /** Routers that missed the news hear it when they ask; everything else is too late. */
  #answerDead(incoming: Incoming<InstanceMessage>): readonly InstanceEffect[] {
    if (this.#life.kind !== 'dead' || incoming.kind === 'completion') return []
    const asks = incoming.payload.kind === 'generate' || incoming.payload.kind === 'hello'
    if (asks && this.#routers.hear(incoming.from)) this.#effects.send(incoming.from, this.#gone(this.#life.reason))
    return this.#effects.take()
  }

  #gone(reason: string): GoneMessage {
    return { kind: 'gone', instanceId: this.#config.instanceId, incarnation: this.#config.incarnation, reason }
  }
}
