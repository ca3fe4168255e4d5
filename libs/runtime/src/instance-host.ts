// Hosts one instance in this process: its engine on a worker thread and its actor on the shell. When the engine dies, a
// new engine and a new incarnation of the actor take its place; routers see the higher incarnation and recover.
//
// 1. At most one incarnation is reachable at the instance's address.
// 2. After too many deaths in a row the host gives up and says so; it never loops without delay.
import { setTimeout as delay } from 'node:timers/promises'
import { RubatoError } from '@rubato/config'
import { InstanceActor } from '@rubato/instance'
import type { InstanceLimits } from '@rubato/instance'
import type { Engine } from '@rubato/model'
import type { BatchingPolicy, StepCostModel } from '@rubato/policy'
import { blockRoot, sha256Block } from './block-hash.ts'
import { engineEffects } from './engine-effects.ts'
import type { LiveActor, LiveShell } from './live-shell.ts'

export type InstanceEvent =
  | { readonly kind: 'started'; readonly incarnation: number }
  | { readonly kind: 'engine-died'; readonly incarnation: number; readonly error: Error; readonly restartInMs: number }
  | { readonly kind: 'gave-up'; readonly error: Error }

export interface OpenedInstance {
  readonly engine: Engine
  readonly batching: BatchingPolicy
  readonly costModel?: StepCostModel
}

export interface InstanceHostOptions {
  readonly instanceId: string
  readonly address: string
  /** Routers that each incarnation announces itself to. */
  readonly announceTo?: readonly string[]
  /** Opens what one incarnation runs on. When it rejects it leaves nothing open. */
  readonly open: () => Promise<OpenedInstance>
  readonly limits: InstanceLimits
  readonly enablePrefixCache: boolean
  readonly onEvent: (event: InstanceEvent) => void
}

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
  #actor: LiveActor
  #incarnation = 1
  #running: Promise<void>

  private constructor(shell: LiveShell, options: InstanceHostOptions, opened: OpenedInstance) {
    this.#shell = shell
    this.#options = options
    this.#opened = opened
    this.#actor = this.#spawn()
    this.#running = this.#watch()
  }

  /** Opens the first engine and starts the actor. Rejects with what `open` rejects with. */
  static async start(shell: LiveShell, options: InstanceHostOptions): Promise<InstanceHost> {
    return new InstanceHost(shell, options, await options.open())
  }

  get engine(): Engine {
    return this.#opened.engine
  }

  get incarnation(): number {
    return this.#incarnation
  }

  /** Stops the actor, then the engine. Idempotent. */
  async stop(): Promise<void> {
    this.#abort.abort()
    await this.#actor.stop()
    await this.engine.close()
    await this.#running
  }

  #spawn(): LiveActor {
    const { instanceId, address, announceTo = [], limits, enablePrefixCache, onEvent } = this.#options
    const { engine, ...policy } = this.#opened
    const incarnation = this.#incarnation
    const rootHash = (cacheSalt: string): string => blockRoot(engine.shape.modelFingerprint, cacheSalt)
    const config = { instanceId, address, announceTo, incarnation, shape: engine.shape, ...policy, limits, hashBlock: sha256Block, rootHash, enablePrefixCache }
    const actor = this.#shell.spawn({ address, factory: () => ({ actor: new InstanceActor(config), effects: engineEffects(engine) }) })
    onEvent({ kind: 'started', incarnation })
    return actor
  }

  async #watch(): Promise<void> {
    let deaths = 0
    for (;;) {
      const startedMs = performance.now()
      const error = await this.engine.closed
      if (error === null || this.#abort.signal.aborted) return
      deaths = performance.now() - startedMs > HEALTHY_MS ? 1 : deaths + 1
      if (!(await this.#replace(error, deaths))) return
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
      await this.#actor.stop()
      this.#opened = await open()
      if (this.#abort.signal.aborted) {
        await this.engine.close()
        return false
      }
    } catch (cause) {
      if (!this.#abort.signal.aborted) onEvent({ kind: 'gave-up', error: cause instanceof Error ? cause : new Error(String(cause)) })
      return false
    }
    this.#incarnation++
    this.#actor = this.#spawn()
    return true
  }
}
