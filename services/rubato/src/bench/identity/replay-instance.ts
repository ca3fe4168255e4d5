// Replays requests through an instance actor on a live shell, with this file as its router.
import { RubatoError } from '@rubato/config'
import type { GenerateMessage, InstanceLimits, InstanceReport } from '@rubato/instance'
import { batchingPolicy, speculationPolicy } from '@rubato/policy'
import type { StepCostModel } from '@rubato/policy'
import { InstanceHost, LiveShell, liveBus } from '@rubato/runtime'
import type { IdentityRequest } from './identity-requests.ts'
import type { RecordingEngine } from './recording-engine.ts'

export interface ReplayOptions {
  readonly limits: InstanceLimits
  readonly enablePrefixCache: boolean
  /** In order of arrival. */
  readonly requests: readonly IdentityRequest[]
  /** Tokens that a request had emitted before it arrives here. */
  readonly emittedOf: (request: IdentityRequest) => readonly number[]
  /** Name of a speculation policy. @default off */
  readonly speculation?: string
}

export interface ReplayCounts {
  readonly preemptions: number
  readonly cachedTokens: number
}

const ROUTER = 'router/identity'
const INSTANCE = 'instance/identity'
/** Decisions must not depend on the machine's speed: any fixed model does. */
const COST_MODEL: StepCostModel = {
  decode: { fixedMs: 3, perSequenceMs: 0.5, perNodeMs: 0.4, perContextTokenMs: 0.0003 },
  cell: { fixedMs: 2, perTokenMs: 0.3, perPairMs: 0.00003 },
  correctionRatio: 1,
}

function messageOf(request: IdentityRequest, emittedIds: readonly number[]): GenerateMessage {
  return {
    kind: 'generate',
    requestId: request.requestId,
    epoch: { recovery: emittedIds.length > 0 ? 1 : 0, hop: 0 },
    promptIds: request.promptIds,
    emittedIds: [emittedIds],
    finishedSequences: [],
    sampling: request.sampling,
    slo: { ttftMs: null, tpotMs: null },
    priority: 0,
    cacheSalt: '',
    remainingMs: null,
    recovered: emittedIds.length > 0,
    handOffTo: null,
    trace: null,
  }
}

/** Sends all requests at once and resolves when each has finished. Rejects when one is refused or the engine dies. */
export async function replayOnInstance(engine: RecordingEngine, options: ReplayOptions): Promise<ReplayCounts> {
  const bus = liveBus()
  const shell = new LiveShell({ bus })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const open = new Set(options.requests.map(({ requestId }) => requestId))
  let preemptions = 0
  let cachedTokens = 0
  bus.register(ROUTER, (_, payload) => {
    const report = payload as InstanceReport
    if (report.kind === 'refused') reject(new RubatoError('refused', `${report.requestId} was refused: ${report.message}`))
    if (report.kind === 'gone') reject(new RubatoError('engine_failed', report.reason))
    if (report.kind !== 'tokens') return
    for (const { requestId, finish } of report.runs) {
      if (finish === null) continue
      open.delete(requestId)
      preemptions += finish.timing.preemptions
      cachedTokens += finish.timing.cachedTokens
    }
    if (open.size === 0) resolve()
  })
  const host = await InstanceHost.start(shell, { instanceId: 'identity', address: INSTANCE }, {
    open: () => Promise.resolve({ engine, batching: batchingPolicy('sarathi', { costModel: COST_MODEL }), costModel: COST_MODEL, speculation: options.speculation === undefined ? null : speculationPolicy(options.speculation) }),
    limits: options.limits,
    enablePrefixCache: options.enablePrefixCache,
    onEvent: (event) => {
      if (event.kind !== 'started') reject(event.error)
    },
  })
  try {
    for (const request of options.requests) bus.send(ROUTER, INSTANCE, messageOf(request, options.emittedOf(request)))
    await promise
  } finally {
    await host.stop()
    await shell.stop()
  }
  return { preemptions, cachedTokens }
}
