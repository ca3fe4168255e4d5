// Hosts one instance in this process: its engine on a worker thread and its actor on the shell. When the engine dies, a
// new engine and a new incarnation of the actor take its place; routers see the higher incarnation and recover. When the
// process may not act under its name any more, the actor ends and the engine stays, for the next name.
//
// 1. At most one incarnation is reachable, at the address of the identity that it serves as; none without an identity.
// 2. After too many deaths in a row the host gives up and says so; it never loops without delay.
// 3. Changes happen one after the other: a death during a change of identity waits for it, and the other way round.
import { createHmac, randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Address, EffectTable, Incoming } from '@rubato/actor'
import { RubatoError } from '@rubato/config'
import { InstanceActor } from '@rubato/instance'
import type { DrainMessage, HelloMessage, InstanceLimits, InstanceMessage, InstanceRole, MemberGoneMessage, SetRoleMessage, SignOffer, SpeculatorJoinedMessage } from '@rubato/instance'
import type { Engine } from '@rubato/model'
import type { BatchingPolicy, SpeculationPolicy, StepCostModel } from '@rubato/policy'
import type { DraftLinks, KvTransport } from '@rubato/rpc'
import { DISCARD_SPANS } from '@rubato/telemetry'
import { blockRoot, sha256Block } from './block-hash.ts'
import { draftEffects } from './draft/draft-effects.ts'
import type { InstanceDrafts } from './draft/instance-drafts.ts'
import { engineEffects } from './engine-effects.ts'
import { kvEffects } from './kv/kv-effects.ts'
import type { LiveActor, LiveShell } from './live-shell.ts'

export type InstanceEvent =
  | { readonly kind: 'started'; readonly instanceId: string; readonly incarnation: number }
  | { readonly kind: 'engine-died'; readonly incarnation: number; readonly error: Error; readonly restartInMs: number }
  | { readonly kind: 'gave-up'; readonly error: Error }

export interface OpenedInstance {
  readonly engine: Engine
  readonly batching: BatchingPolicy
  readonly costModel?: StepCostModel
  /** null: nothing is ever drafted. @default null */
  readonly speculation?: SpeculationPolicy | null
}

/** As whom it serves. Over NATS never the same twice. */
export interface InstanceIdentity {
  readonly instanceId: string
  readonly address: Address
}

export interface InstanceHostOptions {
  /** Opens what one incarnation runs on. When it rejects it leaves nothing open. */
  readonly open: () => Promise<OpenedInstance>
  readonly limits: InstanceLimits
  readonly enablePrefixCache: boolean
  /** @default mixed */
  readonly role?: InstanceRole
  /** @default as the actor's */
  readonly orphanTtlMs?: number
  /** null: it ships no KV and takes none. @default null */
  readonly kv?: KvTransport | null
  /** Who drafts for it elsewhere; null: nobody. @default null */
  readonly drafts?: InstanceDrafts | null
  /** The port of the `span` effect. @default spans go nowhere */
  readonly spanEffects?: EffectTable
  /** Routers that each incarnation announces itself to. @default nobody */
  readonly announceTo?: () => readonly Address[]
  readonly onEvent: (event: InstanceEvent) => void
}

/** What its own process tells an instance. */
export type HostMessage = DrainMessage | HelloMessage | MemberGoneMessage | SetRoleMessage | SpeculatorJoinedMessage

const FIRST_RESTART_MS = 100
const MAX_RESTART_MS = 5_000
/** An engine that lived this long was healthy: the count of deaths starts anew. */
const HEALTHY_MS = 60_000
const MAX_DEATHS = 8

export class InstanceHost {
  readonly #shell: LiveShell
  readonly #options: InstanceHostOptions
  readonly #abort = new AbortController()
  #opened: OpenedInstance
  #identity: InstanceIdentity | null = null
  #actor: LiveActor | null = null
  /** Of the actor. */
  #draftLinks: DraftLinks | null = null
  #incarnation = 0
  /** As operators last said; they hold for later incarnations. */
  #role: InstanceRole
  #draining = false
  #changes: Promise<unknown> = Promise.resolve()
  readonly #running: Promise<void>

  private constructor(shell: LiveShell, options: InstanceHostOptions, opened: OpenedInstance) {
    this.#shell = shell
    this.#options = options
    this.#opened = opened
    this.#role = options.role ?? 'mixed'
    this.#running = this.#watch()
  }

  /** Opens the first engine; nobody is served yet. Rejects with what `open` rejects with. */
  static async open(shell: LiveShell, options: InstanceHostOptions): Promise<InstanceHost> {
    return new InstanceHost(shell, options, await options.open())
  }

  /** Opens and serves at once. */
  static async start(shell: LiveShell, identity: InstanceIdentity, options: InstanceHostOptions): Promise<InstanceHost> {
    const host = await InstanceHost.open(shell, options)
    await host.serveAs(identity)
    return host
  }

  get engine(): Engine {
    return this.#opened.engine
  }

  get incarnation(): number {
    return this.#incarnation
  }

  /** False while it has no identity or its engine is being replaced. */
  get isServing(): boolean {
    return this.#actor !== null
  }

  /** Starts a new incarnation under this identity. */
  serveAs(identity: InstanceIdentity): Promise<void> {
    return this.#change(() => {
      this.#identity = identity
      if (!this.#abort.signal.aborted) this.#spawn(identity)
    })
  }

  /** Ends the actor, at once, and forgets what it held; the engine stays loaded. */
  suspend(): Promise<void> {
    // Ended before the changes under way: from here on it may not act.
    this.#identity = null
    const ending = this.#endActor()
    return this.#change(async () => {
      await ending
      await this.#endActor()
      // A dead engine is being replaced, and its successor knows nothing anyway.
      await this.engine.execute({ kind: 'reset' }).catch(() => {})
    })
  }

  /** Lost when there is no incarnation, but for draining and role, which hold for the next one. */
  tell(from: Address, message: HostMessage): void {
    this.#observe(message)
    this.#actor?.deliver(from, message)
  }

  /** Stops the actor, then the engine. Idempotent. */
  async stop(): Promise<void> {
    this.#abort.abort()
    await this.#change(() => this.#endActor())
    await this.engine.close()
    await this.#running
  }

  #change<T>(change: () => T | Promise<T>): Promise<T> {
    const changed = this.#changes.then(change)
    this.#changes = changed.catch(() => {})
    return changed
  }

  async #endActor(): Promise<void> {
    const actor = this.#actor
    this.#actor = null
    this.#draftLinks?.close()
    this.#draftLinks = null
    await actor?.stop()
  }

  #observe(message: Pick<InstanceMessage, 'kind'> & { readonly role?: InstanceRole }): void {
    if (message.kind === 'drain' || message.kind === 'undrain') this.#draining = message.kind === 'drain'
    else if (message.kind === 'set-role' && message.role !== undefined) this.#role = message.role
  }

  #spawn({ instanceId, address }: InstanceIdentity): void {
    const { announceTo = () => [], limits, enablePrefixCache, orphanTtlMs, kv = null, drafts = null, spanEffects = DISCARD_SPANS, onEvent } = this.#options
    const { engine, ...policy } = this.#opened
    this.#incarnation++
    const incarnation = this.#incarnation
    const config = {
      instanceId, address, incarnation, shape: engine.shape, ...policy, limits, enablePrefixCache,
      ...(orphanTtlMs === undefined ? {} : { orphanTtlMs }),
      announceTo: announceTo(),
      role: this.#role,
      hashBlock: sha256Block,
      rootHash: (cacheSalt: string): string => blockRoot(engine.shape.modelFingerprint, cacheSalt),
      speculators: drafts?.speculators() ?? null,
      kvShipping: kv === null ? null : { kvAddress: kv.kvAddress, signOffer: offerSigner() },
    }
    const { vocabSize, eosTokenIds } = engine.shape
    const links = drafts?.connect({ instanceId, vocabSize, eosTokenIds }) ?? null
    this.#draftLinks = links
    const effects = { ...spanEffects, ...engineEffects(engine, (bytes) => kv?.recycle(bytes)), ...(kv === null ? {} : kvEffects({ transport: kv, engine })), ...(links === null ? {} : draftEffects(links)) }
    const onIncoming = (incoming: Incoming<unknown>): void => {
      if (incoming.kind === 'message') this.#observe(incoming.payload as InstanceMessage)
    }
    this.#actor = this.#shell.spawn({ address, factory: () => ({ actor: new InstanceActor(config), effects }), onIncoming })
    if (this.#draining) this.#actor.deliver(address, { kind: 'drain' })
    onEvent({ kind: 'started', instanceId, incarnation })
  }

  async #watch(): Promise<void> {
    let deaths = 0
    for (;;) {
      const startedMs = performance.now()
      const error = await this.engine.closed
      if (error === null || this.#abort.signal.aborted) return
      deaths = performance.now() - startedMs > HEALTHY_MS ? 1 : deaths + 1
      const count = deaths
      if (!(await this.#change(() => this.#replace(error, count)))) return
    }
  }

  /** A new engine and incarnation after the given death; false when the host is stopped or gives up. */
  async #replace(error: Error, deaths: number): Promise<boolean> {
    const { onEvent, open } = this.#options
    if (deaths > MAX_DEATHS) {
      onEvent({ kind: 'gave-up', error: new RubatoError('engine_failed', `the engine died ${deaths} times in a row: ${error.message}`, { cause: error }) })
      return false
    }
    const restartInMs = Math.min(MAX_RESTART_MS, FIRST_RESTART_MS * 2 ** (deaths - 1))
    onEvent({ kind: 'engine-died', incarnation: this.#incarnation, error, restartInMs })
    try {
      await delay(restartInMs, undefined, { signal: this.#abort.signal })
      await this.#endActor()
      this.#opened = await open()
      if (this.#abort.signal.aborted) {
        await this.engine.close()
        return false
      }
    } catch (cause) {
      if (!this.#abort.signal.aborted) onEvent({ kind: 'gave-up', error: cause instanceof Error ? cause : new Error(String(cause)) })
      return false
    }
    if (this.#identity !== null) this.#spawn(this.#identity)
    return true
  }
}

/** Tokens that nobody can guess, of a key that no other incarnation has. */
function offerSigner(): SignOffer {
  const key = randomBytes(32)
  return (text) => createHmac('sha256', key).update(text).digest('base64url')
}
