// One instance as a process of its own: joins its cluster over NATS, serves until it is told to end, drains and leaves.
//
//   load the engine ──> join ──> ready ──SIGTERM──> drain ──> give the lease back ──> close ──> exit 0
import type { InstanceProcessConfig } from '@rubato/config'
import type { NatsLink } from '@rubato/bus'
import { loadCheckpoint } from '@rubato/model/checkpoint'
import { cpuKernelClass } from '@rubato/model/engine'
import { loadTextModel } from '@rubato/model/text'
import type { TextModel } from '@rubato/model/text'
import type { KvTransport } from '@rubato/rpc'
import { DISCARD_SPANS, renderInstanceMetrics, startMetricsServer } from '@rubato/telemetry'
import type { MetricsServer, Tracing } from '@rubato/telemetry'
import { clusterDrafts } from '../draft/instance-drafts.ts'
import { InstanceHost } from '../instance-host.ts'
import type { InstanceEvent } from '../instance-host.ts'
import { LiveShell } from '../live-shell.ts'
import { ClusterInstance } from '../membership/cluster-instance.ts'
import { openKvTransport, openNats, readPeerTls } from './cluster-link.ts'
import { EndOfProcess } from './end-of-process.ts'
import { KvCounts } from './kv-counts.ts'
import { LoadMonitor, MONITOR_ADDRESS } from '../membership/load-monitor.ts'
import { MemberDirectory } from '../membership/member-directory.ts'
import { mayAskSpeculators, openInstance, progressLog } from './open-instance.ts'
import type { OpenInstanceParts } from './open-instance.ts'
import { openTracing } from './open-tracing.ts'
import type { ProcessLog } from './process-log.ts'

export interface InstanceProcessParts {
  /** What the process is, for its ready line and its spans: `prefill`, `decode`. */
  readonly service: string
  readonly log: ProcessLog
  /** Writes one line to standard output. */
  readonly print: (line: string) => void
  readonly openSpecial?: OpenInstanceParts['openSpecial']
}

/** What has to be closed again, latest first. */
type Closer = () => Promise<unknown>

/** Resolves with the process's exit code once it has left. Rejects when it could not start; everything is closed then. */
export async function runInstanceProcess(config: InstanceProcessConfig, parts: InstanceProcessParts): Promise<number> {
  const end = new EndOfProcess()
  const closers: Closer[] = []
  const startMs = performance.now()
  try {
    const running = await start(config, parts, { end, closers })
    if (!end.isAsked) {
      const { service, print } = parts
      const metrics = running.metrics === null ? '' : ` metrics=${config.kv.host}:${running.metrics.port}`
      print(`rubato ${service} ready kv=${running.kv.kvAddress} instance=${config.instanceId} cluster=${config.nats.cluster} role=${config.role}${metrics} in ${Math.round(performance.now() - startMs)} ms`)
    }
    const { code, reason } = await end.asked
    end.forceAfter(config.shutdownTimeoutMs)
    parts.log.info({ reason, limitMs: config.shutdownTimeoutMs }, 'draining')
    const isEmpty = await running.instance.drain(code === 0 ? config.shutdownTimeoutMs : 0)
    if (!isEmpty) parts.log.warn({}, 'leaving with requests unfinished: their routers recover them elsewhere')
    return code
  } finally {
    for (const close of closers.toReversed()) await close()
    parts.log.info({}, 'stopped')
  }
}

interface Running {
  readonly instance: ClusterInstance
  readonly kv: KvTransport
  readonly metrics: MetricsServer | null
}

async function start(config: InstanceProcessConfig, parts: InstanceProcessParts, { end, closers }: { end: EndOfProcess; closers: Closer[] }): Promise<Running> {
  const { log } = parts
  const text = await textOf(config)
  // First what fails for a reason that its user can mend at once; the engine takes longest.
  const nats = await openNats(config.nats, config.instanceId, log)
  closers.push(() => nats.close())
  const counts = new KvCounts(log)
  const kv = await openKvTransport(config.kv, (event) => counts.take(event))
  closers.push(() => kv.close())
  const tracing = openTracing(config.tracing, parts.service, config.instanceId, log)
  if (tracing !== null) closers.push(() => tracing.close())
  const monitor = new LoadMonitor(nats.bus)
  const shell = new LiveShell({ bus: monitor })
  closers.push(() => shell.stop())
  const directory = new MemberDirectory(nats.membership)
  closers.push(async () => directory.close())
  const onProgress = progressLog(log)
  const host = await InstanceHost.open(shell, {
    open: () => openInstance(config, { textDigest: text.digest, onProgress, log, ...(parts.openSpecial === undefined ? {} : { openSpecial: parts.openSpecial }) }),
    limits: { maxNumSeqs: config.maxNumSeqs, maxNumBatchedTokens: config.maxNumBatchedTokens },
    enablePrefixCache: config.enablePrefixCaching,
    role: config.role,
    orphanTtlMs: config.orphanTtlMs,
    kv,
    drafts: mayAskSpeculators(config) ? clusterDrafts(directory, { vocabulary: text.vocabularyDigest(), tls: readPeerTls(config.kv.tls), log }) : null,
    spanEffects: tracing?.spanEffects() ?? DISCARD_SPANS,
    announceTo: () => [...directory.routers(), MONITOR_ADDRESS],
    onEvent: (event) => onInstanceEvent(event, log, end),
  })
  closers.push(() => host.stop())
  const onFatal = (error: Error): void => {
    log.error({ err: error }, 'the name of this instance is lost')
    end.ask({ code: 1, reason: error.message })
  }
  const instance = await ClusterInstance.join({ name: config.instanceId, host, membership: nats.membership, directory, monitor, log, onFatal })
  closers.push(() => instance.leave())
  const metrics = await openMetrics(config, { instance, nats, counts, tracing, log })
  if (metrics !== null) closers.push(() => metrics.close())
  return { instance, kv, metrics }
}

/** Throws CheckpointError when the directory cannot be served, before anything else is opened for it. */
async function textOf({ modelDir, chatTemplate }: InstanceProcessConfig): Promise<TextModel> {
  const { config } = await loadCheckpoint(modelDir)
  return loadTextModel(modelDir, { ...(chatTemplate === null ? {} : { chatTemplate }), vocabSize: config.vocabSize })
}

interface MetricsSources {
  readonly instance: ClusterInstance
  readonly nats: NatsLink
  readonly counts: KvCounts
  readonly tracing: Tracing | null
  readonly log: ProcessLog
}

async function openMetrics(config: InstanceProcessConfig, { instance, nats, counts, tracing, log }: MetricsSources): Promise<MetricsServer | null> {
  if (config.metricsPort === null) return null
  const { pulled, served } = counts
  const extra = { modelName: config.servedModelName, instanceName: config.instanceId, kv: { pulled, served } }
  return startMetricsServer({
    host: config.kv.host,
    port: config.metricsPort,
    render: () => renderInstanceMetrics(instance.load, { ...extra, spans: tracing?.counts() ?? null }),
    problem: () => (nats.isConnected ? instance.problem : 'NATS cannot be reached'),
    onError: (error) => log.error({ err: error }, 'the metrics listener failed'),
  })
}

function onInstanceEvent(event: InstanceEvent, log: ProcessLog, end: EndOfProcess): void {
  if (event.kind === 'started') return log.info({ ...event, cpu: cpuKernelClass() }, 'instance started')
  if (event.kind === 'engine-died') return log.error({ ...event, err: event.error }, 'engine died; a new one is being started')
  log.error({ err: event.error }, 'the engine cannot be brought back')
  end.ask({ code: 1, reason: event.error.message })
}
