// Drives one instance actor by hand: virtual time, a memory engine, and a router that collects tokens.
//
// 1. A step's command is applied when the step completes, so a command that is changed after it was issued shows.
// 2. Engine commands run in the order given; installs end with the step behind them, or by completeInstall.
// 3. Transfers of KV wait in `serves` and `pulls` until the test, or an InstanceNetwork, completes them.
// 4. Tokens are checked as they arrive: every run continues where the choice's last one ended, or repeats what it said (counted).
import type { Address, Completion, EffectId, Outcome, SpanRecord } from '@rubato/actor'
import type { DraftEffect, DraftNewsEffect, InstanceActor, InstanceEffect, InstanceMessage, InstancePayload, KvPullEffect, KvServeEffect, TokenRun } from '@rubato/instance'
import type { EngineCommand, EngineResult, StepCommand } from '@rubato/model'
import type { MemoryEngine } from './memory-engine.ts'

/** What completes steps: it performs one command at once. */
export interface StepEngine {
  apply(command: EngineCommand): EngineResult
}

export interface CollectedChoice {
  readonly tokenIds: number[]
  finish: NonNullable<TokenRun['finish']> | null
  /** Tokens that arrived although they were known. */
  numRepeated: number
}

interface Running<C extends EngineCommand = EngineCommand> {
  readonly effectId: EffectId
  readonly command: C
}

export class InstanceDriver<E extends StepEngine = MemoryEngine> {
  readonly actor: InstanceActor
  readonly engine: E
  readonly router: Address
  nowMs = 0
  /** Everything the actor sent, oldest first. */
  readonly sent: { readonly to: Address; readonly payload: InstancePayload }[] = []
  /** Commands of completed steps. */
  readonly steps: StepCommand[] = []
  /** Offers that a peer may pull, and pulls that wait for their bytes. */
  readonly serves = new Map<EffectId, KvServeEffect>()
  readonly pulls = new Map<EffectId, KvPullEffect>()
  readonly spans: SpanRecord[] = []
  /** Asks of speculators that wait for `completeDraft`, and what speculators were told. */
  readonly drafts = new Map<EffectId, DraftEffect>()
  readonly draftNews: DraftNewsEffect[] = []
  /** Set to check invariants after every transition. */
  afterReceive: () => void = () => {}
  /** Set to carry messages elsewhere: tokens are then not collected here. */
  onSend: ((to: Address, payload: InstancePayload) => void) | null = null
  #inFlight: Running<StepCommand> | null = null
  /** In order; the step in flight is among them. */
  readonly #commands: Running[] = []
  readonly #timers = new Map<EffectId, number>()
  readonly #choices = new Map<string, CollectedChoice>()

  constructor(actor: InstanceActor, engine: E, router: Address = 'router/r1') {
    this.actor = actor
    this.engine = engine
    this.router = router
    this.#perform(actor.start(0))
  }

  /** The step the engine works on, if any. */
  get command(): StepCommand | null {
    return this.#inFlight?.command ?? null
  }

  /** Installs that the engine has not begun. */
  get numInstalls(): number {
    return this.#commands.filter(({ command }) => command.kind === 'install-blocks').length
  }

  get numTimers(): number {
    return this.#timers.size
  }

  /** Tokens of one choice so far; starts empty, or with `known` after a recovery. */
  choice(requestId: string, sequence = 0, known: readonly number[] = []): CollectedChoice {
    const key = `${requestId}#${sequence}`
    let choice = this.#choices.get(key)
    if (choice === undefined) {
      choice = { tokenIds: [...known], finish: null, numRepeated: 0 }
      this.#choices.set(key, choice)
    }
    return choice
  }

  deliver(message: InstanceMessage, from: Address = this.router): void {
    this.#receive(() => this.actor.receive({ kind: 'message', from, payload: message }, this.nowMs))
  }

  /** Completes the step in flight, `stepMs` later than now. Throws when there is none. */
  completeStep(stepMs = 1): StepCommand {
    while (this.#commands[0]?.command.kind === 'install-blocks') this.completeInstall()
    const { effectId, command } = this.#takeStep()
    this.nowMs += stepMs
    const result: EngineResult = this.engine.apply(command)
    this.steps.push(command)
    this.#complete({ effectId, effectKind: 'engine' }, { kind: 'done', value: result })
    return command
  }

  /** Performs the install at the head of the engine's queue. Throws when there is none. */
  completeInstall(): void {
    const [next] = this.#commands
    if (next === undefined || next.command.kind === 'step') throw new Error('no install is next')
    this.#commands.shift()
    this.#complete({ effectId: next.effectId, effectKind: 'engine' }, { kind: 'done', value: this.engine.apply(next.command) })
  }

  /** Ends a serve or a pull. */
  completeTransfer(effectId: EffectId, outcome: Outcome): void {
    const effectKind = this.serves.delete(effectId) ? 'kv-serve' : 'kv-pull'
    this.pulls.delete(effectId)
    this.#complete({ effectId, effectKind }, outcome)
  }

  /** Ends an ask of a speculator. */
  completeDraft(effectId: EffectId, outcome: Outcome): void {
    this.drafts.delete(effectId)
    this.#complete({ effectId, effectKind: 'draft' }, outcome)
  }

  /** Completes steps until the instance is idle; throws after `limit` of them. */
  runToIdle(limit = 10_000): void {
    for (let count = 0; this.#inFlight !== null; count++) {
      if (count >= limit) throw new Error(`the instance is still busy after ${limit} steps`)
      this.completeStep()
    }
  }

  failStep(message: string): void {
    const { effectId } = this.#takeStep()
    this.#complete({ effectId, effectKind: 'engine' }, { kind: 'failed', error: { code: 'engine_failed', message, retryable: false } })
  }

  /** Any completion at all: late, repeated or of an unknown effect. */
  completeEffect(effectId: EffectId, effectKind: string, outcome: Outcome): void {
    this.#complete({ effectId, effectKind }, outcome)
  }

  /** Moves time on, firing timers at their own times. */
  advance(durationMs: number): void {
    const endMs = this.nowMs + durationMs
    for (;;) {
      const [due] = [...this.#timers].filter(([, atMs]) => atMs <= endMs).sort(([, a], [, b]) => a - b)
      if (due === undefined) break
      this.nowMs = Math.max(this.nowMs, due[1])
      this.#timers.delete(due[0])
      this.#complete({ effectId: due[0], effectKind: 'timer' }, { kind: 'done', value: null })
    }
    this.nowMs = endMs
  }

  #takeStep(): Running<StepCommand> {
    const step = this.#inFlight
    if (step === null) throw new Error('no step is in flight')
    this.#inFlight = null
    this.#commands.splice(this.#commands.indexOf(step), 1)
    return step
  }

  #complete(effect: Pick<Completion, 'effectId' | 'effectKind'>, outcome: Outcome): void {
    this.#receive(() => this.actor.receive({ kind: 'completion', ...effect, outcome }, this.nowMs))
  }

  #receive(transition: () => readonly InstanceEffect[]): void {
    this.#perform(transition())
    this.afterReceive()
  }

  #perform(effects: readonly InstanceEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'timer') this.#timers.set(effect.id, this.nowMs + effect.delayMs)
      else if (effect.kind === 'cancel') {
        this.#cancel(effect.target)
      } else if (effect.kind === 'engine') this.#start(effect.id, effect.command)
      else if (effect.kind === 'kv-serve') this.serves.set(effect.id, effect)
      else if (effect.kind === 'kv-pull') this.pulls.set(effect.id, effect)
      else if (effect.kind === 'span') this.spans.push(effect.span)
      else if (effect.kind === 'draft') this.drafts.set(effect.id, effect)
      else if (effect.kind === 'draft-news') this.draftNews.push(effect)
      else this.#send(effect.to, effect.payload)
    }
  }

  #cancel(target: EffectId): void {
    const kinds = [['timer', this.#timers], ['kv-serve', this.serves], ['kv-pull', this.pulls], ['draft', this.drafts]] as const
    for (const [effectKind, underWay] of kinds) if (underWay.delete(target)) this.#complete({ effectId: target, effectKind }, { kind: 'cancelled' })
  }

  #send(to: Address, payload: InstancePayload): void {
    this.sent.push({ to, payload })
    if (this.onSend !== null) this.onSend(to, payload)
    else if (payload.kind === 'tokens') for (const run of payload.runs) this.#collect(run)
  }

  #start(effectId: EffectId, command: EngineCommand): void {
    if (command.kind !== 'step') {
      this.#commands.push({ effectId, command })
      return
    }
    if (this.#inFlight !== null) throw new Error('the instance started a step while one was in flight')
    this.#inFlight = { effectId, command }
    this.#commands.push(this.#inFlight)
  }

  #collect(run: TokenRun): void {
    const choice = this.choice(run.requestId, run.sequence)
    const name = `${run.requestId}#${run.sequence}`
    if (run.firstIndex > choice.tokenIds.length) throw new Error(`${name}: tokens ${choice.tokenIds.length}..${run.firstIndex - 1} are missing`)
    run.tokenIds.forEach((tokenId, place) => {
      const index = run.firstIndex + place
      if (index === choice.tokenIds.length) choice.tokenIds.push(tokenId)
      else if (choice.tokenIds[index] !== tokenId) throw new Error(`${name}: token ${index} changed`)
      else choice.numRepeated++
    })
    choice.finish = run.finish ?? choice.finish
  }
}
