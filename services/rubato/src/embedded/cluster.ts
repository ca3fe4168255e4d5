// The embedded cluster: one router and N mixed instances in one process, on the in-process bus. The same actors as in a
// distributed one; only their hosts and the bus differ.
import { readFileSync } from 'node:fs'
import type { ServeConfig } from '@rubato/config'
import { OnnxEngine, loadOrMeasureProfile } from '@rubato/model/engine'
import { validateSampling } from '@rubato/model/sampling'
import { TextPool } from '@rubato/model/text'
import { batchingPolicy } from '@rubato/policy'
import { InstanceHost, LiveShell, liveBus } from '@rubato/runtime'
import type { InstanceEvent, OpenedInstance } from '@rubato/runtime'
import { ROUTER_TIMING, RouterActor, createRouterPort, renderMetrics, startGrpcFrontDoor, startHttpFrontDoor } from '@rubato/service-router'
import type { FrontDoor, FrontDoorOptions, RouterParts, RouterPort, ServedModel } from '@rubato/service-router'
import type { Logger } from 'pino'
import { engineOptions, loadModelText, servedModel } from './model.ts'
import type { ModelText } from './model.ts'

export interface ClusterOptions {
  readonly config: ServeConfig
  readonly log: Logger
  readonly version: string
  readonly onProgress: (stage: string, doneRatio: number | null) => void
  /** An instance could not be brought back: the process should end. */
  readonly onFatal: (error: Error) => void
}

const ROUTER_ADDRESS = 'router/r1'

/** Seeds for requests without one: counted up from --seed where it is given, so that a run can be repeated. */
function seedSource(base: number | null): { drawSeed: () => number } | Record<string, never> {
  if (base === null) return {}
  let next = base
  return { drawSeed: () => next++ % Number.MAX_SAFE_INTEGER }
}

export class EmbeddedCluster {
  readonly shell: LiveShell
  readonly instances: readonly InstanceHost[]
  readonly router: RouterPort
  readonly routerActor: RouterActor
  readonly #pool: TextPool
  readonly #drain: () => void
  #doors: readonly FrontDoor[] = []
  #closing: Promise<void> | null = null

  private constructor(shell: LiveShell, instances: readonly InstanceHost[], pool: TextPool, parts: { router: RouterPort; actor: RouterActor; drain: () => void }) {
    this.shell = shell
    this.instances = instances
    this.#pool = pool
    this.router = parts.router
    this.routerActor = parts.actor
    this.#drain = parts.drain
  }

  /** Loads the model, starts instances, router and front doors. Whatever had started is stopped again when a part fails. */
  static async start(options: ClusterOptions): Promise<EmbeddedCluster> {
    const { config } = options
    const text = await loadModelText(config)
    const shell = new LiveShell({ bus: liveBus() })
    const instances: InstanceHost[] = []
    const pool = new TextPool({ model: text.text, numWorkers: config.tokenizerThreads })
    try {
      for (let index = 1; index <= config.numMixed; index++) instances.push(await startInstance(shell, index, text, options))
      const model = servedModel(config, text, instances[0]!.engine.shape)
      const cluster = new EmbeddedCluster(shell, instances, pool, startRouter(shell, model, pool, options))
      await cluster.#openDoors(options)
      return cluster
    } catch (error) {
      await shell.stop()
      await Promise.all(instances.map((instance) => instance.stop()))
      await pool.close()
      throw error
    }
  }

  get httpPort(): number {
    return this.#doors[0]!.port
  }

  get grpcPort(): number {
    return this.#doors[1]!.port
  }

  async #openDoors({ config, log, version }: ClusterOptions): Promise<void> {
    const read = (file: string): Buffer => readFileSync(file)
    const tls = config.tls === null ? null : { cert: read(config.tls.certFile), key: read(config.tls.keyFile), clientCa: config.tls.caFile === null ? null : read(config.tls.caFile) }
    const common: Omit<FrontDoorOptions, 'port'> = { router: this.router, host: config.host, apiKey: config.apiKey, tls, log }
    const metrics = (): string => renderMetrics(this.routerActor.snapshot())
    const http = await startHttpFrontDoor({ ...common, port: config.httpPort, metrics, version })
    try {
      this.#doors = [http, await startGrpcFrontDoor({ ...common, port: config.grpcPort })]
    } catch (error) {
      await http.close(0)
      throw error
    }
  }

  /** Refuses new requests, lets running ones finish within the limit, then stops everything. Idempotent. */
  close(deadlineMs: number): Promise<void> {
    this.#closing ??= this.#close(deadlineMs)
    return this.#closing
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#drain()
    await Promise.all(this.#doors.map((door) => door.close(deadlineMs)))
    await Promise.all(this.instances.map((instance) => instance.stop()))
    await this.shell.stop()
    await this.#pool.close()
  }
}

async function startInstance(shell: LiveShell, index: number, { text }: ModelText, options: ClusterOptions): Promise<InstanceHost> {
  const { config, log, onProgress, onFatal } = options
  const instanceId = `i${index}`
  const open = async (): Promise<OpenedInstance> => {
    const engine = await OnnxEngine.open(engineOptions(config, text), onProgress)
    try {
      const profile = await loadOrMeasureProfile({ engine, mode: config.profile, budgetMs: config.profileBudgetMs, cacheDir: config.cacheDir, threads: config.intraOpThreads, maxNumSeqs: config.maxNumSeqs, onProgress })
      const { source, model: costModel } = profile
      log.info({ instance: instanceId, source, costModel }, 'step-time profile')
      return { engine, costModel, batching: batchingPolicy(config.batching, { costModel }) }
    } catch (error) {
      await engine.close()
      throw error
    }
  }
  const onEvent = (event: InstanceEvent): void => {
    const fields = { instance: instanceId, ...event }
    if (event.kind === 'started') log.info(fields, 'instance started')
    else if (event.kind === 'engine-died') log.error(fields, 'engine died; a new one is being started')
    else onFatal(event.error)
  }
  return InstanceHost.start(shell, {
    instanceId,
    address: `instance/${instanceId}`,
    announceTo: [ROUTER_ADDRESS],
    open,
    limits: { maxNumSeqs: config.maxNumSeqs, maxNumBatchedTokens: config.maxNumBatchedTokens },
    enablePrefixCache: config.enablePrefixCaching,
    onEvent,
  })
}

function startRouter(shell: LiveShell, model: ServedModel, pool: TextPool, { config, log }: ClusterOptions): { router: RouterPort; actor: RouterActor; drain: () => void } {
  const parts: RouterParts = {
    config: {
      maxConcurrentRequests: config.maxConcurrentRequests,
      queueSize: config.queueSize,
      queueTimeoutMs: config.queueTimeoutMs,
      migrationLimit: config.migrationLimit,
      helloTo: Array.from({ length: config.numMixed }, (_, index) => `instance/i${index + 1}`),
      timing: ROUTER_TIMING,
    },
    models: [model],
    validateSampling,
  }
  const actor = new RouterActor(parts, shell.scheduler.nowMs())
  const { port, effects } = createRouterPort({
    post: (message) => host.deliver('front-door', message),
    canServe: () => actor.canServe(),
    models: parts.models,
    textOf: () => pool,
    onSinkError: (error) => log.error({ err: error }, 'a front door failed on an event'),
    ...seedSource(config.seed),
  })
  const host = shell.spawn({ address: ROUTER_ADDRESS, factory: () => ({ actor, effects }) })
  return { router: port, actor, drain: () => host.deliver('front-door', { kind: 'drain' }) }
}
