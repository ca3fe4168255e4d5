// The instances of one process: how many of which kind, and what each runs on.
import type { RoleName, ServeConfig } from '@rubato/config'
import { memoryKvLink } from '@rubato/rpc'
import type { KvTransport } from '@rubato/rpc'
import { InstanceHost, openInstance } from '@rubato/runtime'
import type { InstanceDrafts, InstanceEvent, InstanceHostOptions, LiveShell, OpenedInstance } from '@rubato/runtime'
import { DISCARD_SPANS } from '@rubato/telemetry'
import type { Tracing } from '@rubato/telemetry'
import { openSynthetic } from '../cluster/model-identity.ts'
import type { ClusterOptions } from './cluster.ts'

export interface PlannedInstance {
  /** `i1`, `p1`, `d1`: unique within the process. */
  readonly name: string
  readonly role: RoleName
}

export interface HostParts {
  readonly shell: LiveShell
  readonly textDigest: string
  readonly tracing: Tracing | null
  /** Routers there are. */
  readonly announceTo: () => readonly string[]
  /** One that peers outside this process reach too; null: KV stays in this process. */
  readonly sharedKv: KvTransport | null
  /** Who drafts for the instances; null: they do it themselves, or nobody does. */
  readonly drafts: InstanceDrafts | null
  readonly options: ClusterOptions
}

export function plannedInstances({ numPrefill, numDecode, numMixed }: Pick<ServeConfig, 'numPrefill' | 'numDecode' | 'numMixed'>): PlannedInstance[] {
  const kinds: readonly (readonly [RoleName, string, number])[] = [['mixed', 'i', numMixed], ['prefill', 'p', numPrefill], ['decode', 'd', numDecode]]
  return kinds.flatMap(([role, letter, count]) => Array.from({ length: count }, (_, index) => ({ name: `${letter}${index + 1}`, role })))
}

/** Opens their engines, one after the other: the first may measure a profile that the others find. None serves yet. */
export async function openHosts(planned: readonly PlannedInstance[], parts: HostParts, closers: (() => Promise<unknown>)[]): Promise<InstanceHost[]> {
  const link = memoryKvLink()
  const hosts: InstanceHost[] = []
  for (const { name, role } of planned) {
    const kv = parts.sharedKv ?? (planned.length > 1 ? link.join(`memory:${name}`) : null)
    if (kv !== null && parts.sharedKv === null) closers.push(() => kv.close())
    const host = await InstanceHost.open(parts.shell, hostOptions(name, { ...parts, role, kv }))
    closers.push(() => host.stop())
    hosts.push(host)
  }
  return hosts
}

function hostOptions(name: string, parts: HostParts & { readonly role: RoleName; readonly kv: KvTransport | null }): InstanceHostOptions {
  const { textDigest, tracing, announceTo, drafts, options: { config, log, onProgress, onFatal, wrapEngine } } = parts
  const itsLog = log.child({ instance: name })
  const open = async (): Promise<OpenedInstance> => {
    const opened = await openInstance(config, { textDigest, openSpecial: openSynthetic, onProgress, log: itsLog })
    return wrapEngine === undefined ? opened : { ...opened, engine: wrapEngine(opened.engine, name) }
  }
  const onEvent = (event: InstanceEvent): void => {
    if (event.kind === 'started') itsLog.info({ ...event }, 'instance started')
    else if (event.kind === 'engine-died') itsLog.error({ ...event, err: event.error }, 'engine died; a new one is being started')
    else onFatal(event.error)
  }
  return {
    open,
    limits: { maxNumSeqs: config.maxNumSeqs, maxNumBatchedTokens: config.maxNumBatchedTokens },
    enablePrefixCache: config.enablePrefixCaching,
    role: parts.role,
    orphanTtlMs: config.orphanTtlMs,
    kv: parts.kv,
    drafts,
    spanEffects: tracing?.spanEffects() ?? DISCARD_SPANS,
    announceTo,
    onEvent,
  }
}
