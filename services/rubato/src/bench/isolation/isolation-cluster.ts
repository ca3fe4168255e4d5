// One prefill and one decode instance in this process, tied together as processes would be: bus over a nats-server of their
// own, KV over gRPC on loopback. Work is steered by draining: with the prefill instance drained the other one does it all.
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { RubatoError } from '@rubato/config'
import type { ClientRequest } from '@rubato/service-router'
import type { CliContext } from '../../cli/context.ts'
import { readServeConfig } from '../../cli/serve/read-config.ts'
import { EmbeddedCluster } from '../../embedded/cluster.ts'
import { createLogger } from '../../logging.ts'
import { version } from '../../version.ts'
import { Broker, findNatsServer } from '../cluster/fleet/broker.ts'
import { SpanBook } from './span-book.ts'
import { StepRecorder } from './step-recorder.ts'

export type InstanceName = 'p1' | 'd1'

const OPERATOR = 'process/bench'
const POLL_MS = 5

export interface SentPrompt {
  /** Resolves with the time of its last event, performance.now(). Rejects when it failed. */
  readonly ended: Promise<number>
  /** Tokens that it has brought. */
  readonly numTokens: () => number
}

const SAMPLING: ClientRequest['sampling'] = {
  maxTokens: 1, minTokens: 0, temperature: 0, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1, logitBias: [],
  seed: 0, stopTokenIds: [], ignoreEos: true, logprobs: null,
}

export class IsolationCluster {
  readonly spans: SpanBook
  /** Of the decode instance's engine. */
  readonly recorder: StepRecorder
  readonly #cluster: EmbeddedCluster
  readonly #close: () => Promise<void>
  #lastRequest = 0

  private constructor(cluster: EmbeddedCluster, parts: { readonly spans: SpanBook; readonly recorder: StepRecorder; readonly close: () => Promise<void> }) {
    this.#cluster = cluster
    this.spans = parts.spans
    this.recorder = parts.recorder
    this.#close = parts.close
  }

  /** Rejects as EmbeddedCluster.start does, and when there is no nats-server. */
  static async open(flags: Readonly<Record<string, unknown>>, context: CliContext, onProgress: (line: string) => void): Promise<IsolationCluster> {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'rubato-isolation-'))
    const broker = await Broker.start(folder, findNatsServer(null, context.env), context.env)
    const closeBroker = async (): Promise<void> => {
      await broker.stop()
      rmSync(folder, { recursive: true, force: true })
    }
    try {
      const ports = { port: 0, 'grpc-port': 0, 'admin-port': 'none', 'kv-port': 0 }
      const config = await readServeConfig({ ...flags, ...ports, nats: broker.url, prefill: 1, decode: 1, placement: 'disaggregated', 'intra-op-threads': 1 }, context)
      const spans = new SpanBook()
      const recorders = new Map<string, StepRecorder>()
      const cluster = await EmbeddedCluster.start({
        config, version, log: createLogger('silent'), tracing: spans,
        onProgress: (stage) => onProgress(stage),
        onFatal: (error) => {
          throw error
        },
        wrapEngine: (engine, name) => {
          const recorder = new StepRecorder(engine)
          recorders.set(name, recorder)
          return recorder
        },
      })
      const close = (): Promise<void> => cluster.close(0).finally(closeBroker)
      const isolation = new IsolationCluster(cluster, { spans, recorder: recorders.get('d1')!, close })
      await isolation.idle()
      return isolation
    } catch (error) {
      await closeBroker()
      throw error
    }
  }

  get blockBytes(): number {
    return this.recorder.shape.blockBytes
  }

  /** Resolves once the router sends no new work to `out`, and to the other one again. */
  async leaveOut(out: InstanceName | null): Promise<void> {
    const names: readonly InstanceName[] = ['p1', 'd1']
    await this.#until(() => this.#cluster.router.ready())
    const drained = (name: InstanceName): boolean | undefined => this.#cluster.routerActor.instances().find(({ instanceId }) => instanceId.includes(`-${name}@`))?.load?.draining
    for (const [index, name] of names.entries()) this.#cluster.instances[index]!.tell(OPERATOR, { kind: name === out ? 'drain' : 'undrain' })
    await this.#until(() => names.every((name) => drained(name) === (name === out)))
  }

  send(tokenIds: readonly number[], maxTokens: number, onTokens: (count: number) => void = () => {}): SentPrompt {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    let numTokens = 0
    const request: ClientRequest = {
      requestId: `isolation-${++this.#lastRequest}`, model: '', input: { kind: 'tokens', tokenIds }, sampling: { ...SAMPLING, maxTokens }, n: 1, stop: [],
      slo: { ttftMs: null, tpotMs: null }, priority: 0, cacheSalt: '', remainingMs: null, echo: false, resumeFrom: null, trace: null,
    }
    this.#cluster.router.submit(request, (event) => {
      if (event.kind === 'delta') {
        numTokens += event.tokenIds.length
        onTokens(event.tokenIds.length)
      } else if (event.kind === 'finished') resolve(performance.now())
      else if (event.kind === 'failed') reject(new RubatoError(event.error.code, event.error.message))
    })
    return { ended: promise, numTokens: () => numTokens }
  }

  /** Resolves once both instances serve and no request is left anywhere. */
  async idle(): Promise<void> {
    await this.#until(() => {
      // Without a lease there is no router actor; it comes back under another address.
      if (!this.#cluster.router.ready()) return false
      const { routerActor } = this.#cluster
      const loads = routerActor.instances().map(({ load }) => load)
      return loads.length === 2 && loads.every((load) => load !== null && load.numRunning + load.numWaiting === 0) && Object.values(routerActor.sizes()).every((size) => size === 0)
    })
  }

  close(): Promise<void> {
    return this.#close()
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await delay(POLL_MS)
  }
}
