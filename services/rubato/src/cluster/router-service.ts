// A router in this process: text pool, front doors, and the router actor behind them, under one address at a time.
//
// 1. At most one actor is hosted. Doors and their clients outlive it.
import type { Address } from '@rubato/actor'
import type { DoorSettings } from '@rubato/config'
import { validateSampling } from '@rubato/model/sampling'
import { TextPool } from '@rubato/model/text'
import { dispatchPolicy } from '@rubato/policy'
import type { LiveActor, LiveShell } from '@rubato/runtime'
import { ROUTER_TIMING, RouterActor, createRouterPort } from '@rubato/service-router'
import type { ClusterPort, RouterMessage, ServedModel } from '@rubato/service-router'
import { DISCARD_SPANS } from '@rubato/telemetry'
import type { Tracing } from '@rubato/telemetry'
import type { Logger } from 'pino'
import { openFrontDoors } from './front-doors.ts'
import type { FrontDoors } from './front-doors.ts'
import { LastingRouterPort } from './lasting-router-port.ts'
import type { ModelText, ServedModelSettings } from './served-model.ts'

export type RouterSettings = ServedModelSettings & DoorSettings

export interface RouterServiceParts {
  readonly config: RouterSettings
  readonly model: ServedModel
  readonly text: ModelText
  readonly shell: LiveShell
  readonly log: Logger
  readonly version: string
  /** null: nothing is traced. */
  readonly tracing: Tracing | null
  /** Whether instances can be reached at all: without that it is not ready. */
  readonly isConnected: () => boolean
}

/** Where an actor's own process speaks to it from. */
const SELF: Address = 'front-door'

export class RouterService {
  readonly port: LastingRouterPort
  readonly #parts: RouterServiceParts
  readonly #pool: TextPool
  readonly #drawSeed: { readonly drawSeed?: () => number }
  #actor: RouterActor | null = null
  #host: LiveActor | null = null
  #doors: FrontDoors | null = null
  /** Of actors that are no more. */
  #pastRecoveries = 0

  constructor(parts: RouterServiceParts) {
    const { config, model, text } = parts
    this.#parts = parts
    this.#pool = new TextPool({ model: text.text, numWorkers: config.tokenizerThreads })
    this.#drawSeed = seedSource(config.seed)
    this.port = new LastingRouterPort([{ id: model.id, maxModelLen: model.maxModelLen, createdS: model.createdS }])
  }

  /** null: it has no place in the cluster at the moment. */
  get actor(): RouterActor | null {
    return this.#actor
  }

  get doors(): FrontDoors {
    if (this.#doors === null) throw new Error('the doors are not open')
    return this.#doors
  }

  /** Hosts a new actor, which says hello to these instances. */
  serveAs(address: Address, helloTo: readonly Address[] = []): void {
    const { config, model, shell, log, tracing, isConnected } = this.#parts
    const { maxConcurrentRequests, queueSize, queueTimeoutMs, migrationLimit, dispatch, placement } = config
    const routing = { maxConcurrentRequests, queueSize, queueTimeoutMs, migrationLimit, dispatch: dispatchPolicy(dispatch, { placement }), helloTo, timing: ROUTER_TIMING }
    const actor = new RouterActor({ config: routing, models: [model], validateSampling }, shell.scheduler.nowMs())
    const { port, effects } = createRouterPort({
      post: (message) => host.deliver(SELF, message),
      canServe: () => isConnected() && actor.canServe(),
      models: [model],
      textOf: () => this.#pool,
      onSinkError: (error) => log.error({ err: error }, 'a front door failed on an event'),
      traceSource: tracing?.traceSource ?? null,
      ...this.#drawSeed,
    })
    const host = shell.spawn({ address, factory: () => ({ actor, effects: { ...(tracing?.spanEffects() ?? DISCARD_SPANS), ...effects } }) })
    this.#actor = actor
    this.#host = host
    this.port.begin(port)
  }

  /** Ends the actor at once; its clients are told to resume. */
  async suspend(): Promise<void> {
    const host = this.#host
    this.#pastRecoveries += this.#recoveries()
    this.#host = null
    this.#actor = null
    this.port.end()
    await host?.stop()
  }

  /** Lost when no actor is hosted. */
  tell(message: RouterMessage): void {
    this.#host?.deliver(SELF, message)
  }

  async openDoors(): Promise<void> {
    const { config, log, version } = this.#parts
    this.#doors = await openFrontDoors({ config, router: this.port, cluster: this.#clusterPort(), actor: () => this.#actor, log, version })
  }

  /** Refuses new requests and lets running ones finish within the limit; then nothing is open any more. Idempotent. */
  async close(deadlineMs: number): Promise<void> {
    this.tell({ kind: 'drain' })
    await this.#doors?.close(deadlineMs)
    await this.#host?.stop()
    await this.#pool.close()
  }

  #recoveries(): number {
    return this.#actor?.snapshot().models.reduce((sum, { stats }) => sum + stats.recoveriesTotal, 0) ?? 0
  }

  #clusterPort(): ClusterPort {
    const { shell } = this.#parts
    return {
      instances: () => this.#actor?.instances() ?? [],
      tell: (address, message) => this.#host?.send(address, message),
      ownerOf: (requestId) => this.#actor?.ownerOf(requestId) ?? null,
      recoveriesTotal: () => this.#pastRecoveries + this.#recoveries(),
      nowMs: () => shell.scheduler.nowMs(),
    }
  }
}

/** Seeds for requests without one: counted up from --seed where it is given, so that a run can be repeated. */
function seedSource(base: number | null): { readonly drawSeed?: () => number } {
  if (base === null) return {}
  let next = base
  return { drawSeed: () => next++ % Number.MAX_SAFE_INTEGER }
}

