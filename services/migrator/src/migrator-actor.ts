// The migrator: hears load reports, pairs instances that should give requests with those that should take them, and advises on
// the size of the cluster. Llumnix (OSDI'24) §4.4: it sees aggregates only; which request goes is the instance's choice.
//
//   every round: greet the silent -> (leading?) pair -> tell sources -> advise
//
// 1. It acts while `mayAct` alone: within its own lease where several stand by. Two that acted would only be told less: an
//    instance moves one request at a time, whoever asks.
// 2. Nothing that is served depends on it. What it knows is rebuilt from reports within a second.
// 3. A balancing move waits for reports from both ends that are newer than the move before it: nothing is moved twice for
//    one reason.
import type { Actor, Address, CancelEffect, Effect, EffectId, Incoming, SendEffect, TimerEffect } from '@rubato/actor'
import type { InstanceMessage, InstanceReport } from '@rubato/instance'
import { adviseScaling, averageFreeness, INSIDE, pairInstances } from '@rubato/policy'
import type { MigrationInstance, MigrationPair, PairingOptions, ScalingAdvice, ScalingOptions, ScalingState } from '@rubato/policy'
import { KnownInstances, viewOf } from './known-instances.ts'
import type { KnownInstance } from './known-instances.ts'

export interface MigratorConfig {
  /** Asked before every act. */
  readonly mayAct: (nowMs: number) => boolean
  /** Instances that are there from the start; others come as `member-joined`. */
  readonly helloTo?: readonly Address[]
  /** @default 200, as often as a busy instance reports */
  readonly roundMs?: number
  readonly pairing?: PairingOptions
  readonly scaling?: ScalingOptions
}

/** From the migrator's own process: an instance took its lease, or lost it. */
export interface MembershipMessage {
  readonly kind: 'member-joined' | 'member-lost'
  readonly address: Address
}

export type MigratorMessage = MembershipMessage | InstanceReport

/** The advice for one model changed. Completes with `done` at once. */
export interface AdviseEffect extends Effect {
  readonly kind: 'advise'
  readonly modelFingerprint: string
  readonly advice: ScalingAdvice
}

export type MigratorEffect = SendEffect<InstanceMessage> | TimerEffect | CancelEffect | AdviseEffect

export interface MigratorSnapshot {
  readonly isLeading: boolean
  readonly pairs: readonly MigrationPair[]
  /** Moves told, by reason. */
  readonly toldTotal: Readonly<Record<MigrationPair['reason'], number>>
  readonly models: readonly { readonly modelFingerprint: string; readonly numInstances: number; readonly averageFreenessBlocks: number; readonly advice: ScalingAdvice }[]
}

interface ModelAdvice {
  state: ScalingState
  advice: ScalingAdvice
}

const ROUND_MS = 200
/** How long an instance goes on without being told again. */
const PAIRING_ROUNDS = 2

export class MigratorActor implements Actor<MigratorMessage, MigratorEffect> {
  readonly #config: MigratorConfig
  readonly #instances = new KnownInstances()
  readonly #advice = new Map<string, ModelAdvice>()
  readonly #toldTotal = { drain: 0, admit: 0, balance: 0 }
  #pairs: readonly MigrationPair[] = []
  #views: readonly MigrationInstance[] = []
  #isLeading = false
  #timer: EffectId | null = null
  #lastEffectId = 0
  #effects: MigratorEffect[] = []

  constructor(config: MigratorConfig) {
    this.#config = config
    for (const address of config.helloTo ?? []) this.#instances.join(address)
  }

  start(nowMs: number): readonly MigratorEffect[] {
    this.#greetSilent(nowMs)
    this.#armTimer()
    return this.#take()
  }

  receive(incoming: Incoming<MigratorMessage>, nowMs: number): readonly MigratorEffect[] {
    if (incoming.kind === 'message') this.#handle(incoming.payload, nowMs)
    else if (incoming.effectKind === 'timer' && incoming.effectId === this.#timer) {
      this.#timer = null
      this.#round(nowMs)
      this.#armTimer()
    }
    return this.#take()
  }

  snapshot(): MigratorSnapshot {
    const models = [...this.#advice].map(([modelFingerprint, { advice }]) => {
      const instances = this.#views.filter((view) => view.modelFingerprint === modelFingerprint)
      return { modelFingerprint, numInstances: instances.length, averageFreenessBlocks: averageFreeness(instances.filter(({ isDraining }) => !isDraining)), advice }
    })
    return { isLeading: this.#isLeading, pairs: this.#pairs, toldTotal: { ...this.#toldTotal }, models }
  }

  #handle(message: MigratorMessage, nowMs: number): void {
    if (message.kind === 'load') this.#instances.hear(message, nowMs)
    else if (message.kind === 'member-joined') {
      this.#instances.join(message.address)
      this.#send(message.address, { kind: 'hello' })
    } else if (message.kind === 'member-lost') this.#instances.leave(message.address)
  }

  #round(nowMs: number): void {
    this.#greetSilent(nowMs)
    this.#isLeading = this.#config.mayAct(nowMs)
    const known = this.#instances.current(nowMs)
    this.#views = [...known.values()].map((instance) => viewOf(instance, nowMs))
    if (!this.#isLeading) {
      this.#pairs = []
      this.#advice.clear()
      return
    }
    this.#pairs = pairInstances(this.#views, this.#pairs, this.#config.pairing)
    for (const pair of this.#pairs) this.#tell(pair, known, nowMs)
    this.#advise(nowMs)
  }

  #tell({ sourceId, destinationId, reason }: MigrationPair, known: ReadonlyMap<string, KnownInstance>, nowMs: number): void {
    const source = known.get(sourceId)
    const destination = known.get(destinationId)
    if (source === undefined || destination === undefined) return
    if (reason === 'balance' && (source.heardMs <= source.movedMs || destination.heardMs <= destination.movedMs)) return
    source.movedMs = nowMs
    destination.movedMs = nowMs
    this.#toldTotal[reason]++
    const forMs = reason === 'balance' ? 0 : PAIRING_ROUNDS * (this.#config.roundMs ?? ROUND_MS)
    this.#send(source.address, { kind: 'migrate', requestId: null, to: { instanceId: destinationId, address: destination.address }, forMs })
  }

  #advise(nowMs: number): void {
    const fingerprints = new Set(this.#views.map(({ modelFingerprint }) => modelFingerprint))
    for (const modelFingerprint of this.#advice.keys()) if (!fingerprints.has(modelFingerprint)) this.#advice.delete(modelFingerprint)
    for (const modelFingerprint of fingerprints) {
      const before = this.#advice.get(modelFingerprint) ?? { state: INSIDE, advice: { kind: 'hold' } }
      const instances = this.#views.filter((view) => view.modelFingerprint === modelFingerprint)
      const after = adviseScaling(before.state, instances, nowMs, this.#config.scaling)
      this.#advice.set(modelFingerprint, after)
      if (!isSameAdvice(before.advice, after.advice)) this.#effects.push({ kind: 'advise', id: ++this.#lastEffectId, modelFingerprint, advice: after.advice })
    }
  }

  #greetSilent(nowMs: number): void {
    for (const address of this.#instances.silent(nowMs)) this.#send(address, { kind: 'hello' })
  }

  #armTimer(): void {
    this.#timer = ++this.#lastEffectId
    this.#effects.push({ kind: 'timer', id: this.#timer, delayMs: this.#config.roundMs ?? ROUND_MS })
  }

  #send(to: Address, payload: InstanceMessage): void {
    this.#effects.push({ kind: 'send', id: ++this.#lastEffectId, to, payload })
  }

  #take(): readonly MigratorEffect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }
}

function isSameAdvice(a: ScalingAdvice, b: ScalingAdvice): boolean {
  return a.kind === b.kind && (a.kind !== 'shrink' || b.kind !== 'shrink' || a.instanceId === b.instanceId)
}
