// Router and instances in one process. By default on the in-process bus, with KV changing hands in memory; with --nats the
// same parts are members of a cluster over NATS. The same actors as in a distributed one; only their hosts and the bus differ.
import type { ServeConfig } from '@rubato/config'
import type { Engine } from '@rubato/model'
import type { EngineProgress } from '@rubato/model/engine'
import { LiveShell, liveBus, mayAskSpeculators, openTracing } from '@rubato/runtime'
import type { InstanceDrafts, InstanceHost } from '@rubato/runtime'
import { hostMigrator } from '@rubato/service-migrator'
import type { RouterActor, RouterPort } from '@rubato/service-router'
import type { Tracing } from '@rubato/telemetry'
import type { Logger } from 'pino'
import { RouterService } from '../cluster/router-service.ts'
import { loadModelText, servedModel } from '../cluster/served-model.ts'
import type { ModelText } from '../cluster/served-model.ts'
import { ClusterSide } from './cluster-side.ts'
import { openHosts, plannedInstances } from './instances.ts'
import type { PlannedInstance } from './instances.ts'
import { openSpeculators } from './speculators.ts'

export interface ClusterOptions {
  readonly config: ServeConfig
  readonly log: Logger
  readonly version: string
  readonly onProgress: EngineProgress
  /** An instance could not be brought back: the process should end. */
  readonly onFatal: (error: Error) => void
  /** For measurements: what takes an engine's place; `name` is the instance's here. @default the engine itself */
  readonly wrapEngine?: (engine: Engine, name: string) => Engine
  /** For measurements: takes the spans. @default as the configuration says */
  readonly tracing?: Tracing
}

const ROUTER_ADDRESS = 'router/r1'

type Closer = () => Promise<unknown>

interface Started {
  readonly shell: LiveShell
  readonly hosts: readonly InstanceHost[]
  readonly service: RouterService
  /** null: nothing leaves the process. */
  readonly side: ClusterSide | null
}

export class EmbeddedCluster {
  readonly shell: LiveShell
  readonly instances: readonly InstanceHost[]
  readonly router: RouterPort
  readonly #service: RouterService
  readonly #side: ClusterSide | null
  readonly #closers: readonly Closer[]
  #closing: Promise<void> | null = null

  private constructor({ shell, hosts, service, side }: Started, closers: readonly Closer[]) {
    this.shell = shell
    this.instances = hosts
    this.#service = service
    this.router = service.port
    this.#side = side
    this.#closers = closers
  }

  /** Loads the model, starts instances, router and front doors. Whatever had started is stopped again when a part fails. */
  static async start(options: ClusterOptions): Promise<EmbeddedCluster> {
    const closers: Closer[] = []
    try {
      return new EmbeddedCluster(await startParts(options, closers), closers)
    } catch (error) {
      await closeAll(closers)
      throw error
    }
  }

  /** Throws while a router that lost its place in a cluster over NATS has not found a new one. */
  get routerActor(): RouterActor {
    const { actor } = this.#service
    if (actor === null) throw new Error('no router actor is hosted')
    return actor
  }

  get httpPort(): number {
    return this.#service.doors.httpPort
  }

  get grpcPort(): number {
    return this.#service.doors.grpcPort
  }

  /** null: there is no admin door. */
  get adminPort(): number | null {
    return this.#service.doors.adminPort
  }

  /** Refuses new requests, lets running ones finish within the limit, then stops everything. Idempotent. */
  close(deadlineMs: number): Promise<void> {
    this.#closing ??= this.#close(deadlineMs)
    return this.#closing
  }

  async #close(deadlineMs: number): Promise<void> {
    const startMs = performance.now()
    await this.#service.close(deadlineMs)
    await this.#side?.drain(Math.max(0, deadlineMs - (performance.now() - startMs)))
    await closeAll(this.#closers)
  }
}

async function closeAll(closers: readonly Closer[]): Promise<void> {
  for (const close of closers.toReversed()) await close()
}

async function startParts(options: ClusterOptions, closers: Closer[]): Promise<Started> {
  const { config, log, version } = options
  const text = await loadModelText(config)
  const tracing = options.tracing ?? openTracing(config.tracing, 'serve', config.link?.instanceId ?? 'serve', log)
  if (tracing !== null) closers.push(() => tracing.close())
  const planned = plannedInstances(config)
  const side = config.link === null ? null : await ClusterSide.open(config.link, options, closers)
  const shell = new LiveShell({ bus: side?.bus ?? liveBus() })
  closers.push(() => shell.stop())
  const announceTo = (): readonly string[] => side?.announceTo() ?? [ROUTER_ADDRESS]
  const drafts = mayAskSpeculators(config) ? await openDrafts({ options, side, shell, text }, closers) : null
  const hosts = await openHosts(planned, { shell, textDigest: text.text.digest, tracing, announceTo, sharedKv: side?.kv ?? null, drafts, options }, closers)
  const model = servedModel(config, text, hosts[0]!.engine.shape)
  const service = new RouterService({ config, model, text, shell, log, version, tracing, isConnected: () => side?.isConnected ?? true })
  closers.push(() => service.close(0))
  await service.openDoors()
  if (side === null) {
    await serveInProcess(planned, hosts, service)
    if (config.migration === 'llumnix' && planned.length > 1) closers.push(migrateInProcess(planned, shell, log))
  }
  else await side.join(planned, hosts, { service, fingerprint: model.fingerprint }, closers)
  return { shell, hosts, service, side }
}

interface DraftParts extends Pick<Started, 'shell' | 'side'> {
  readonly options: ClusterOptions
  readonly text: ModelText
}

/** Those of the cluster that the process is a member of, or its own; null: there are none. */
async function openDrafts({ options: { config, log }, side, shell, text }: DraftParts, closers: Closer[]): Promise<InstanceDrafts | null> {
  const vocabulary = text.text.vocabularyDigest()
  if (side !== null) return side.drafts(vocabulary)
  return openSpeculators(config, { shell, log, vocabulary, vocabSize: text.vocabSize }, closers)
}

/** Nobody else can lead here. Returns its end. */
function migrateInProcess(planned: readonly PlannedInstance[], shell: LiveShell, log: Logger): Closer {
  const config = { mayAct: () => true, helloTo: planned.map(({ name }) => `instance/${name}`) }
  const migrator = hostMigrator({ shell, address: 'migrator/m1', config, log })
  return () => migrator.stop()
}

async function serveInProcess(planned: readonly PlannedInstance[], hosts: readonly InstanceHost[], service: RouterService): Promise<void> {
  const addressOf = (name: string): string => `instance/${name}`
  await Promise.all(planned.map(({ name }, index) => hosts[index]!.serveAs({ instanceId: name, address: addressOf(name) })))
  service.serveAs(ROUTER_ADDRESS, planned.map(({ name }) => addressOf(name)))
}
