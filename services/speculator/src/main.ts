// The speculator service: `rubato speculator`, one draft model that many instances have tokens drafted by. Nothing that is served
// depends on it: an instance that cannot reach it decodes without drafts.
//
//   load the draft model ──> listen ──> join ──> ready ──SIGTERM──> give the lease back ──> end the streams ──> close ──> exit 0
import { PROTOCOL_VERSION, InProcessBus } from '@rubato/bus'
import type { SpeculatorProcessConfig } from '@rubato/config'
import { loadCheckpoint } from '@rubato/model/checkpoint'
import { loadTextModel } from '@rubato/model/text'
import { draftDoor, startGrpcServer } from '@rubato/rpc'
import { EndOfProcess, KeptName, LiveShell, openNats, readPeerTls } from '@rubato/runtime'
import type { ProcessLog } from '@rubato/runtime'
import { startMetricsServer } from '@rubato/telemetry'
import type { MetricsServer } from '@rubato/telemetry'
import type { SpeculatorConfig } from './actor/speculator-actor.ts'
import { draftStreams } from './draft-streams.ts'
import { DraftEngine } from './engine/draft-engine.ts'
import type { DraftModelHost } from './engine/draft-engine.ts'
import { renderSpeculatorMetrics } from './metrics.ts'
import { hostSpeculator } from './speculator-host.ts'

export interface SpeculatorProcessParts {
  readonly log: ProcessLog
  /** Writes one line to standard output. */
  readonly print: (line: string) => void
  /** In place of a draft model; null: there is one. */
  readonly openSpecial?: (config: SpeculatorProcessConfig, vocabSize: number) => DraftModelHost | null
}

interface Surroundings extends Pick<SpeculatorProcessParts, 'log' | 'openSpecial'> {
  readonly end: EndOfProcess
  /** What has to be closed again, latest last. */
  readonly closers: (() => Promise<unknown>)[]
}

/** Long prompts of many sequences in one message. */
const MAX_MESSAGE_BYTES = 16 << 20
/** Streams that were ended need no more than their trailers to be gone. */
const CLOSE_DEADLINE_MS = 250

/** Drafts until the process is told to end. Resolves with its exit code; rejects when it could not start. */
export async function runSpeculator(config: SpeculatorProcessConfig, { log, print, ...parts }: SpeculatorProcessParts): Promise<number> {
  const end = new EndOfProcess()
  const closers: Surroundings['closers'] = []
  const startMs = performance.now()
  try {
    const ready = await start(config, { ...parts, log, end, closers })
    if (!end.isAsked) print(`rubato speculator ready ${ready} in ${Math.round(performance.now() - startMs)} ms`)
    const { code, reason } = await end.asked
    end.forceAfter(0)
    log.info({ reason }, 'leaving')
    return code
  } finally {
    for (const close of closers.toReversed()) await close()
    log.info({}, 'stopped')
  }
}

/** What it drafts in: the vocabulary of the model that is drafted for. Throws CheckpointError. */
export async function loadVocabulary(modelDir: string): Promise<Pick<SpeculatorConfig, 'vocabulary' | 'vocabSize'>> {
  const { config: { vocabSize } } = await loadCheckpoint(modelDir)
  return { vocabulary: loadTextModel(modelDir, { vocabSize }).vocabularyDigest(), vocabSize }
}

/** What of itself it says when it is ready. */
async function start(config: SpeculatorProcessConfig, surroundings: Surroundings): Promise<string> {
  const { log, end, closers } = surroundings
  const { instanceId, listener } = config
  const vocabulary = await loadVocabulary(config.modelDir)
  const nats = await openNats(config.nats, instanceId, log)
  closers.push(() => nats.close())
  const engine = await openEngine(config, vocabulary.vocabSize, surroundings)
  closers.push(() => engine.close())
  // Replies leave in the turn that they are made in.
  const bus = new InProcessBus({ defer: queueMicrotask })
  const shell = new LiveShell({ bus })
  closers.push(() => shell.stop())
  const host = hostSpeculator({ shell, address: 'speculator/self', config: vocabulary, engine })
  const problem = (): string | null => (!nats.isConnected ? 'NATS cannot be reached' : engine.isUp ? null : 'the draft model is being opened again')
  const door = draftDoor(draftStreams(bus, host))
  const tls = readPeerTls(listener.tls)
  const server = await startGrpcServer({
    host: listener.host, port: listener.port, portFlag: '--draft-port', tls: tls === null ? null : { cert: tls.cert, key: tls.key, clientCa: tls.ca },
    services: [door.service], ready: () => problem() === null, maxReceiveBytes: MAX_MESSAGE_BYTES,
  })
  closers.push(async () => {
    host.drain()
    door.endAll()
    await server.close(CLOSE_DEADLINE_MS)
  })
  const endpoint = endpointOf(listener, server.port)
  const name = await KeptName.take({
    membership: nats.membership, log,
    member: { kind: 'speculator', name: instanceId, protocol: PROTOCOL_VERSION, modelFingerprint: null, endpoint },
    // Streams outlive the name: an instance that has one knows whom it speaks to.
    onHeld: () => {},
    onLost: () => {},
    onFatal: (error) => {
      log.error({ err: error }, 'the name of this speculator is lost')
      end.ask({ code: 1, reason: error.message })
    },
  })
  closers.push(() => name.leave())
  const metrics = await openMetrics(config, { render: () => renderSpeculatorMetrics({ snapshot: host.actor.snapshot(), restartsTotal: engine.restartsTotal }), problem, log })
  if (metrics !== null) closers.push(() => metrics.close())
  return `draft=${endpoint} instance=${instanceId} cluster=${config.nats.cluster}${metrics === null ? '' : ` metrics=${listener.host}:${metrics.port}`}`
}

async function openEngine(config: SpeculatorProcessConfig, vocabSize: number, { log, end, openSpecial }: Surroundings): Promise<DraftModelHost> {
  const special = openSpecial?.(config, vocabSize) ?? null
  if (special !== null) return special
  const { draftDir: modelDir, maxModelLen, blockSize, kvCacheBytes, intraOpThreads } = config
  return DraftEngine.open({
    modelDir, vocabSize, blockSize, kvCacheBytes, intraOpThreads,
    maxModelLen: maxModelLen ?? Number.MAX_SAFE_INTEGER,
    onDeath: (error, isLast) => {
      log.error({ err: error }, isLast ? 'the draft model cannot be brought back' : 'the draft model died; it is being opened again')
      if (isLast) end.ask({ code: 1, reason: error.message })
    },
  })
}

function endpointOf({ advertiseAddress, advertisePort }: SpeculatorProcessConfig['listener'], port: number): string {
  return `${advertiseAddress.includes(':') ? `[${advertiseAddress}]` : advertiseAddress}:${advertisePort ?? port}`
}

interface MetricsSource {
  readonly render: () => string
  readonly problem: () => string | null
  readonly log: ProcessLog
}

async function openMetrics({ metricsPort: port, listener: { host } }: SpeculatorProcessConfig, { log, ...source }: MetricsSource): Promise<MetricsServer | null> {
  if (port === null) return null
  return startMetricsServer({ host, port, ...source, onError: (error) => log.error({ err: error }, 'the metrics listener failed') })
}
