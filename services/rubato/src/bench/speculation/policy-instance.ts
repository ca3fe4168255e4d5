// One instance under one speculation policy, on an engine that it shares with others, with this file as its router. It lives as
// long as the measurement: what its controller learns it keeps from round to round, as in a server.
//
// 1. Instances that share an engine take turns: each leaves it empty.
// 2. What is counted begins when the last request has its first token and ends when the first one has its last: every counted
//    step decodes all of them, and nothing else.
import process from 'node:process'
import { RubatoError } from '@rubato/config'
import type { GenerateMessage, InstanceReport } from '@rubato/instance'
import type { SamplingParams } from '@rubato/model'
import { batchingPolicy, speculationPolicy } from '@rubato/policy'
import type { SpeculationOptions, StepCostModel } from '@rubato/policy'
import { InstanceHost, LiveShell, liveBus } from '@rubato/runtime'
import type { LentEngine } from './lent-engine.ts'

export interface PolicyInstanceOptions {
  /** As `--speculation` takes it. */
  readonly policy: string
  readonly speculation: SpeculationOptions
  readonly costModel: StepCostModel
  readonly maxNumSeqs: number
}

export interface PromptedRequest {
  readonly promptIds: readonly number[]
  readonly sampling: SamplingParams
}

/** What the counted steps of one round did. */
export interface PolicySample {
  readonly tokens: number
  /** Of the whole process: engine, actor, garbage collection. */
  readonly cpuMs: number
  /** Of the engine's thread, drafting included. */
  readonly engineCpuMs: number
  readonly steps: number
  /** Trees verified, their nodes, and the tokens that came of them. */
  readonly verified: number
  readonly nodes: number
  readonly verifiedTokens: number
}

const ROUTER = 'router/speculation'
const INSTANCE = 'instance/speculation'
const SPARE_CELLS = 8

export class PolicyInstance {
  readonly #engine: LentEngine
  readonly #bus = liveBus()
  readonly #shell = new LiveShell({ bus: this.#bus })
  #host: InstanceHost | null = null
  #round = 0
  #onReport: (report: InstanceReport) => void = () => {}
  #onError: (error: Error) => void = () => {}

  private constructor(engine: LentEngine) {
    this.#engine = engine
  }

  static async start(engine: LentEngine, { costModel, maxNumSeqs, policy, speculation }: PolicyInstanceOptions): Promise<PolicyInstance> {
    const instance = new PolicyInstance(engine)
    instance.#bus.register(ROUTER, (_, payload) => instance.#onReport(payload as InstanceReport))
    instance.#host = await InstanceHost.start(instance.#shell, { instanceId: policy, address: INSTANCE }, {
      open: () => Promise.resolve({ engine, costModel, batching: batchingPolicy('sarathi', { costModel }), speculation: policy === 'off' ? null : speculationPolicy(policy, speculation) }),
      limits: { maxNumSeqs, maxNumBatchedTokens: 4 * maxNumSeqs + SPARE_CELLS * engine.shape.cellTokens },
      enablePrefixCache: false,
      onEvent: (event) => {
        if (event.kind !== 'started') instance.#onError(event.error)
      },
    })
    return instance
  }

  /** Decodes all of them together. Rejects when one is refused or the engine dies. */
  async run(requests: readonly PromptedRequest[]): Promise<PolicySample> {
    const messages = requests.map((request, place) => messageOf(`${++this.#round}-${place}`, request))
    const waiting = new Set(messages.map(({ requestId }) => requestId))
    const { promise, resolve, reject } = Promise.withResolvers<PolicySample>()
    this.#onError = reject
    let begin: Reading | null = null
    this.#onReport = (report) => {
      if (report.kind === 'refused') reject(new RubatoError('refused', `${report.requestId} was refused: ${report.message}`))
      if (report.kind !== 'tokens') return
      for (const { requestId } of report.runs) waiting.delete(requestId)
      if (waiting.size > 0) return
      begin ??= this.#read()
      if (report.runs.some(({ finish }) => finish !== null)) resolve(difference(begin, this.#read()))
    }
    for (const message of messages) this.#bus.send(ROUTER, INSTANCE, message)
    try {
      return await promise
    } finally {
      this.#onReport = () => {}
      for (const { requestId, epoch } of messages) this.#bus.send(ROUTER, INSTANCE, { kind: 'abort', requestId, epoch, sequence: null })
      await this.#engine.idle()
    }
  }

  async close(): Promise<void> {
    await this.#host?.stop()
    await this.#shell.stop()
  }

  #read(): Reading {
    const { user, system } = process.cpuUsage()
    return { ...this.#engine.counts, cpuMs: (user + system) / 1000 }
  }
}

type Reading = PolicySample

function difference(begin: Reading, end: Reading): PolicySample {
  const names = Object.keys(begin) as (keyof PolicySample)[]
  return Object.fromEntries(names.map((name) => [name, end[name] - begin[name]])) as unknown as PolicySample
}

function messageOf(requestId: string, { promptIds, sampling }: PromptedRequest): GenerateMessage {
  return {
    kind: 'generate', requestId, epoch: { recovery: 0, hop: 0 }, promptIds, emittedIds: [[]], finishedSequences: [], sampling, slo: { ttftMs: null, tpotMs: null },
    priority: 0, cacheSalt: '', remainingMs: null, recovered: false, handOffTo: null, trace: null,
  }
}
