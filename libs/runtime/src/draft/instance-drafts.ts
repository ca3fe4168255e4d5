// What an instance needs of its process to have tokens drafted elsewhere: who there is, and a way to them for each incarnation.
import type { Address } from '@rubato/actor'
import type { Bus, Member } from '@rubato/bus'
import type { SpeculatorPeer } from '@rubato/instance'
import type { DraftPeer } from '@rubato/model'
import { grpcDraftLinks } from '@rubato/rpc'
import type { DraftLinks, DraftTls } from '@rubato/rpc'
import type { MemberDirectory } from '../membership/member-directory.ts'
import type { ProcessLog } from '../process/process-log.ts'
import { busDraftLinks } from './bus-draft-links.ts'

export interface InstanceDrafts {
  /** Those that are there now. */
  speculators(): readonly SpeculatorPeer[]
  /** Links that one incarnation has to itself, and closes with itself. */
  connect(peer: Omit<DraftPeer, 'vocabulary'>): DraftLinks
}

/** A speculator as an instance hears of it; null: the member is none. */
export function speculatorPeer({ kind, address, endpoint }: Member): SpeculatorPeer | null {
  return kind === 'speculator' && endpoint !== undefined ? { address, endpoint } : null
}

/** Speculators of a cluster, over gRPC. */
export function clusterDrafts(directory: MemberDirectory, { vocabulary, tls, log }: { readonly vocabulary: string; readonly tls: DraftTls | null; readonly log: ProcessLog }): InstanceDrafts {
  const onRefused = (speculator: string, message: string): void => log.warn({ speculator, reason: message }, 'a speculator refused this instance: it drafts for another model')
  return {
    speculators: () => directory.speculators().flatMap((member) => speculatorPeer(member) ?? []),
    connect: (peer) => grpcDraftLinks({ peer: { ...peer, vocabulary }, tls, onRefused }),
  }
}

/** Speculators of this process, over its bus. */
export function processDrafts(bus: Bus, { vocabulary, speculators }: { readonly vocabulary: string; readonly speculators: readonly Address[] }): InstanceDrafts {
  let numLinks = 0
  return {
    speculators: () => speculators.map((address) => ({ address, endpoint: address })),
    connect: (peer) => busDraftLinks({ bus, address: `drafts/${peer.instanceId}#${++numLinks}`, peer: { ...peer, vocabulary } }),
  }
}
