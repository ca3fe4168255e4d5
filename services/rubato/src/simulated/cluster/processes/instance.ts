// One life of an instance's process: engine, actor, name and membership, as libs/runtime's ClusterInstance and InstanceHost tie
// them together in a live one.
//
// 1. At most one incarnation of the actor is reachable; none while the name is being rejoined or a dead engine is replaced.
// 2. Role and draining, as operators last said, hold for later incarnations of this life.
// 3. An actor that was fenced ends at once; its engine stays and forgets what it held.
import type { Address } from '@rubato/actor'
import { PROTOCOL_VERSION } from '@rubato/bus'
import { InstanceActor } from '@rubato/instance'
import type { InstanceMessage, InstanceRole, LoadMessage } from '@rubato/instance'
import { batchingPolicy } from '@rubato/policy'
import { MONITOR_ADDRESS } from '@rubato/runtime/membership'
import { simHashBlock, SimKeptName, SimulatedEngine } from '@rubato/sim'
import type { RandomStream, SimIdentity } from '@rubato/sim'
import type { SimInstanceSpec } from '../options.ts'
import type { Surroundings } from '../surroundings.ts'
import { AskedDeath, openEngine, shapeOf } from './engine.ts'
import type { ModelledEngine } from './engine.ts'
import { Life } from './life.ts'

interface RunningEngine extends ModelledEngine {
  readonly port: SimulatedEngine
}

const FIRST_RESTART_MS = 100
const MAX_RESTART_MS = 5_000
const DEFAULT_MAX_MIGRATIONS = 1

export class InstanceProcess {
  readonly life: Life
  readonly spec: SimInstanceSpec
  readonly #surroundings: Surroundings
  readonly #kvAddress: string
  readonly #kvPorts
  readonly #random: RandomStream
  #engine: RunningEngine
  #deaths = 0
  #isReplacing = false
  #identity: SimIdentity | null = null
  #actor: InstanceActor | null = null
  #incarnation = 0
  #role: InstanceRole
  #isDraining = false

  constructor(surroundings: Surroundings, spec: SimInstanceSpec) {
    const { kv, nextNonce, world } = surroundings
    this.#surroundings = surroundings
    this.spec = spec
    this.#role = spec.role
    this.life = new Life(surroundings, spec.name)
    this.#kvAddress = `${spec.name}:${nextNonce()}`
    this.#random = world.random(`engine ${this.#kvAddress}`)
    this.#engine = this.#openEngine()
    const { process, place, directory, membership } = this.life
    const readBlocks = (blockIds: readonly number[]): Uint8Array => {
      const result = this.#engine.model.apply({ kind: 'export-blocks', blockIds })
      if (result.kind !== 'export-blocks') throw new Error('the engine answered another command')
      return result.bytes
    }
    this.#kvPorts = kv.join({ kvAddress: this.#kvAddress, process, place, ...spec.link, blockBytes: spec.shape.blockBytes, readBlocks })
    directory.subscribe(({ kind, member }) => {
      if (kind === 'gone' && member.address !== this.address) this.tell(MONITOR_ADDRESS, { kind: 'member-gone', address: member.address })
      if (kind === 'joined' && member.kind === 'router') this.tell(member.address, { kind: 'hello' })
    })
    new SimKeptName({
      process, membership, nextNonce,
      member: { kind: 'instance', name: spec.name, protocol: PROTOCOL_VERSION, modelFingerprint: spec.shape.modelFingerprint },
      onHeld: (identity) => {
        this.#identity = identity
        this.#spawn(identity)
      },
      onLost: () => this.#suspend(),
      onFatal: surroundings.onCrash,
    })
  }

  /** null: nobody can reach it. */
  get address(): Address | null {
    return this.#actor === null ? null : this.#identity!.address
  }

  /** Its latest report. */
  get load(): LoadMessage | null {
    const { address } = this
    return address === null ? null : this.life.monitor.loadOf(address)
  }

  /** From within its process. Lost while nobody can reach it, but for draining and role. */
  tell(from: Address, message: InstanceMessage): void {
    this.life.process.run(() => {
      this.#observe(message)
      const { address } = this
      if (address !== null) this.life.tell(from, address, message)
    })
  }

  /** The engine alone dies; another one takes its place. */
  killEngine(): void {
    this.life.process.run(() => this.#engine.port.kill(new AskedDeath('killed')))
  }

  kill(): void {
    this.life.kill()
    this.#surroundings.kv.leave(this.#kvAddress)
  }

  assertIntegrity(): void {
    this.#actor?.assertIntegrity()
  }

  /** Sequences in its engine. */
  get numLive(): number {
    return this.#engine.numLive()
  }

  #observe(message: InstanceMessage): void {
    if (message.kind === 'drain' || message.kind === 'undrain') this.#isDraining = message.kind === 'drain'
    else if (message.kind === 'set-role') this.#role = message.role
  }

  #spawn({ id, address }: SimIdentity): void {
    const { spec } = this
    const { checkEveryEvent = false, enablePrefixCache = true, maxMigrations = DEFAULT_MAX_MIGRATIONS } = this.#surroundings.options
    const { costModel, limits, speculation = null } = spec
    // A dead engine is being replaced: its successor brings the actor.
    if (this.#isReplacing) return
    this.#incarnation += 1
    const offers = `${this.#kvAddress} ${this.#incarnation}`
    const actor = new InstanceActor({
      instanceId: id, address, incarnation: this.#incarnation, shape: shapeOf(spec), batching: batchingPolicy(spec.batching, { costModel }), costModel,
      speculation, limits, enablePrefixCache, maxMigrations, hashBlock: simHashBlock, rootHash: (salt) => `${spec.shape.modelFingerprint} ${salt}`,
      role: this.#role, announceTo: [...this.life.directory.routers(), MONITOR_ADDRESS],
      kvShipping: { kvAddress: this.#kvAddress, signOffer: (text) => `${offers} ${text}` },
    })
    this.#actor = actor
    this.life.spawn({
      address,
      factory: () => ({ actor, effects: { engine: this.#engine.port, ...this.#kvPorts } }),
      ...(checkEveryEvent ? { onIncoming: () => actor.assertIntegrity() } : {}),
    })
    if (this.#isDraining) this.life.tell(address, address, { kind: 'drain' })
  }

  #suspend(): void {
    this.#surroundings.onFenced()
    this.#endActor()
    this.#identity = null
    this.#engine.port.reset()
  }

  #endActor(): void {
    const { address } = this
    this.#actor = null
    if (address !== null) this.life.end(address)
  }

  #openEngine(): RunningEngine {
    const { spec } = this
    const { jitterRatio = 0, drafts = null } = spec
    const modelled = openEngine(spec, this.#surroundings.options, () => this.#surroundings.onProcessDeath(spec.name))
    const port = new SimulatedEngine({
      scheduler: this.life.process, timer: spec.timer, model: modelled.model, random: this.#random, jitterRatio,
      draftMs: ({ depth }) => depth * (drafts?.levelMs ?? 0),
      onDeath: (error) => this.#engineDied(error),
    })
    return { ...modelled, port }
  }

  #engineDied(error: unknown): void {
    if (!(error instanceof AskedDeath)) this.#surroundings.onCrash(error)
    this.#deaths += 1
    this.#isReplacing = true
    const restartInMs = Math.min(MAX_RESTART_MS, FIRST_RESTART_MS * 2 ** (this.#deaths - 1))
    this.life.process.schedule(restartInMs, () => {
      this.#endActor()
      this.#engine = this.#openEngine()
      this.#isReplacing = false
      if (this.#identity !== null) this.#spawn(this.#identity)
    })
  }
}
