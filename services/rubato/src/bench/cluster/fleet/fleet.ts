// A cluster on this machine for one benchmark: a broker and N processes of each kind, every one as a user would start it.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { RubatoError } from '@rubato/config'
import { Broker, findNatsServer } from './broker.ts'
import { metricSum } from './metric-text.ts'
import { ServiceProcess } from './service-process.ts'
import type { Environment, ServiceKind } from './service-process.ts'

export interface FleetOptions {
  readonly numRouters: number
  readonly numPrefill: number
  readonly numDecode: number
  /** As --engine takes it. */
  readonly engine: string
  /** null: the bundled checkpoint. */
  readonly modelDir: string | null
  readonly routerFlags: readonly string[]
  readonly instanceFlags: readonly string[]
  /** Node's own flags of the routers. @default none */
  readonly routerNodeArgs?: readonly string[]
  /** Whose processes can be asked what they used. @default none */
  readonly probed?: 'none' | 'routers' | 'all'
  readonly env: Environment
  /** null: found on this machine. */
  readonly natsServer: string | null
  /** Where the processes' logs stay; null: thrown away. */
  readonly logFolder: string | null
  readonly progress: (line: string) => void
  /** Aborting stops waiting for the cluster. */
  readonly signal: AbortSignal
}

const SEEN_TIMEOUT_MS = 30_000
const SEEN_POLL_MS = 50
const STOP_LIMIT_MS = 10_000

export class Fleet {
  readonly broker: Broker
  readonly routers: readonly ServiceProcess[]
  readonly instances: readonly ServiceProcess[]
  readonly #options: FleetOptions
  readonly #folder: string

  private constructor(options: FleetOptions, folder: string, broker: Broker) {
    this.#options = options
    this.#folder = folder
    this.broker = broker
    this.routers = Array.from({ length: options.numRouters }, (_, index) => this.#service('router', index))
    this.instances = [
      ...Array.from({ length: options.numPrefill }, (_, index) => this.#service('prefill', index)),
      ...Array.from({ length: options.numDecode }, (_, index) => this.#service('decode', index)),
    ]
  }

  /** Resolves once every router knows every instance. Everything is stopped again when a part fails. */
  static async start(options: FleetOptions): Promise<Fleet> {
    const binary = findNatsServer(options.natsServer, options.env)
    const folder = mkdtempSync(path.join(os.tmpdir(), 'rubato-bench-'))
    const fleet = new Fleet(options, folder, await Broker.start(folder, binary, options.env))
    try {
      await fleet.#startAll()
    } catch (error) {
      await fleet.stop(0)
      throw error
    }
    return fleet
  }

  get processes(): readonly ServiceProcess[] {
    return [...this.routers, ...this.instances]
  }

  ofKind(kind: ServiceKind): readonly ServiceProcess[] {
    return this.processes.filter(({ options }) => options.kind === kind)
  }

  /** gRPC addresses of the routers that run. */
  routerAddresses(): readonly string[] {
    return this.routers.filter(({ isRunning }) => isRunning).map(({ grpcAddress }) => grpcAddress)
  }

  /** Body of the process's /metrics; null when it cannot be read. */
  async metricsOf(service: ServiceProcess): Promise<string | null> {
    try {
      const response = await fetch(`http://${service.metricsAddress}/metrics`, { signal: AbortSignal.timeout(2000) })
      return response.ok ? await response.text() : null
    } catch {
      return null
    }
  }

  /** Resolves once every router sees as many serving instances as run. Rejects with `unavailable` after the limit. */
  async allSeen(limitMs = SEEN_TIMEOUT_MS): Promise<void> {
    const endMs = performance.now() + limitMs
    const want = this.instances.filter(({ isRunning }) => isRunning).length
    for (const router of this.routers) {
      for (;;) {
        const text = await this.metricsOf(router)
        const seen = text === null ? null : metricSum(text, 'rubato_instances', { state: 'serving' })
        if (seen === want || this.#options.signal.aborted) break
        if (performance.now() > endMs) throw new RubatoError('unavailable', `${router.options.name} sees ${seen ?? 'nothing: no metrics'} of ${want} instances after ${limitMs / 1000} s`)
        await delay(SEEN_POLL_MS)
      }
    }
  }

  /** Ends all processes, gently within the limit, and removes what they left. Idempotent. */
  async stop(limitMs = STOP_LIMIT_MS): Promise<void> {
    for (const { pid, isRunning } of this.processes) if (pid !== null && isRunning) process.kill(pid, 'SIGCONT')
    await Promise.all(this.processes.map((service) => service.stop(limitMs)))
    await this.broker.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #startAll(): Promise<void> {
    const { progress, numRouters, numPrefill, numDecode } = this.#options
    progress(`starting ${numRouters} router, ${numPrefill} prefill, ${numDecode} decode on ${this.broker.url}`)
    // The first instance measures step times where nobody has; the others then read them.
    const [first, ...others] = this.instances
    await first?.start()
    await Promise.all([...others, ...this.routers].map((service) => service.start()))
    await this.allSeen()
  }

  #service(kind: ServiceKind, index: number): ServiceProcess {
    const { engine, modelDir, routerFlags, instanceFlags, routerNodeArgs = [], probed = 'none', logFolder, env } = this.#options
    const common = ['--nats', this.broker.url, '--cluster', `bench-${process.pid}`, '--log-level', 'warn', '--engine', engine, ...(modelDir === null ? [] : ['--model', modelDir])]
    const isRouter = kind === 'router'
    const own = isRouter ? ['--admin-port', 'none', ...routerFlags] : instanceFlags
    if (logFolder !== null) mkdirSync(logFolder, { recursive: true })
    const isProbed = probed === 'all' || (probed === 'routers' && isRouter)
    const ports = isRouter ? ['--port', '0', '--grpc-port', '0'] : ['--metrics-port', '0']
    return new ServiceProcess({ kind, name: `${kind}-${index + 1}`, flags: [...common, ...own], firstPorts: ports, logFolder: logFolder ?? this.#folder, env, nodeArgs: isRouter ? routerNodeArgs : [], isProbed })
  }
}
