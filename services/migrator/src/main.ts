// The migrator service: `rubato migrator`, as many as wanted; the one that holds the lease leads, the others stand by.
import { randomBytes } from 'node:crypto'
import type { MigratorProcessConfig } from '@rubato/config'
import type { NatsLink } from '@rubato/bus'
import { EndOfProcess, LiveShell, MemberDirectory, openNats } from '@rubato/runtime'
import type { ProcessLog } from '@rubato/runtime'
import { startMetricsServer } from '@rubato/telemetry'
import { renderMigratorMetrics } from './metrics.ts'
import { hostMigrator } from './migrator-host.ts'
import type { MigratorHost } from './migrator-host.ts'

export interface MigratorProcessParts {
  readonly log: ProcessLog
  /** Writes one line to standard output. */
  readonly print: (line: string) => void
}

type Closers = (() => Promise<unknown>)[]

/** Stands for the lead until the process is told to end. Resolves with its exit code; rejects when it could not start. */
export async function runMigrator(config: MigratorProcessConfig, parts: MigratorProcessParts): Promise<number> {
  const end = new EndOfProcess()
  const closers: Closers = []
  const startMs = performance.now()
  try {
    const metricsPort = await start(config, parts, closers)
    const metrics = metricsPort === null ? '' : ` metrics=${config.host}:${metricsPort}`
    if (!end.isAsked) parts.print(`rubato migrator ready instance=${config.instanceId} cluster=${config.nats.cluster}${metrics} in ${Math.round(performance.now() - startMs)} ms`)
    const { code, reason } = await end.asked
    end.forceAfter(0)
    parts.log.info({ reason }, 'leaving')
    return code
  } finally {
    for (const close of closers.toReversed()) await close()
    parts.log.info({}, 'stopped')
  }
}

async function start(config: MigratorProcessConfig, { log }: MigratorProcessParts, closers: Closers): Promise<number | null> {
  const nats = await openNats(config.nats, config.instanceId, log)
  closers.push(() => nats.close())
  const shell = new LiveShell({ bus: nats.bus })
  closers.push(() => shell.stop())
  const host = followCluster(nats, { shell, name: config.instanceId, log }, closers)
  if (config.metricsPort === null) return null
  const metrics = await startMetricsServer({
    host: config.host,
    port: config.metricsPort,
    render: () => renderMigratorMetrics(host.actor.snapshot()),
    problem: () => (nats.isConnected ? null : 'NATS cannot be reached'),
    onError: (error) => log.error({ err: error }, 'the metrics listener failed'),
  })
  closers.push(() => metrics.close())
  return metrics.port
}

/** A migrator that stands for the lead of this cluster and hears of its instances. */
export function followCluster(nats: NatsLink, { shell, name, log }: { readonly shell: LiveShell; readonly name: string; readonly log: ProcessLog }, closers: Closers): MigratorHost {
  // Unique to this life: what an earlier one was sent is nothing to it.
  const candidate = `${name}@${randomBytes(4).toString('hex')}`
  const election = nats.electLeader({ role: 'migrator', candidate })
  closers.push(() => election.resign())
  const host = hostMigrator({ shell, address: `migrator/${candidate}`, config: { mayAct: () => election.isLeader(performance.now()) }, log })
  closers.push(() => host.stop())
  const directory = new MemberDirectory(nats.membership)
  closers.push(async () => directory.close())
  directory.subscribe(({ kind, member }) => {
    if (member.kind === 'instance') host.tell({ kind: kind === 'joined' ? 'member-joined' : 'member-lost', address: member.address })
  })
  return host
}
