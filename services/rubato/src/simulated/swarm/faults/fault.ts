// What can go wrong. A wish says what kind of thing shall happen and about when; a strike says what happened to whom.
import { LEASE_TIMES } from '@rubato/bus/lease'
import type { InstanceRole } from '@rubato/instance'
import type { LinkFaults } from '../../cluster/index.ts'

export const FAULT_KINDS = [
  'kill-instance', 'kill-router', 'kill-migrator', 'kill-engine', 'freeze', 'partition', 'broker', 'loss', 'reorder', 'kv-cut', 'kv-corruption', 'kv-slow',
  'slow', 'drain', 'set-role', 'migrate',
] as const

export type FaultKind = (typeof FAULT_KINDS)[number]

export type Fault =
  /** lagFactor: when its lease ends words take so many times longer, and what is recovered then meets late ones. @default 1 */
  | { readonly kind: 'kill'; readonly name: string; readonly restartMs: number; readonly lagFactor?: number }
  | { readonly kind: 'kill-engine'; readonly name: string }
  | { readonly kind: 'freeze'; readonly name: string; readonly forMs: number }
  | { readonly kind: 'partition'; readonly names: readonly string[]; readonly forMs: number }
  | { readonly kind: 'broker'; readonly downMs: number }
  /** Of every link. */
  | { readonly kind: 'link'; readonly faults: Partial<LinkFaults>; readonly forMs: number }
  /** Share of KV transfers that arrive damaged: the puller notices, its peer does not. */
  | { readonly kind: 'kv-corruption'; readonly ratio: number; readonly forMs: number }
  /** Steps of an instance take so many times longer. */
  | { readonly kind: 'slow'; readonly name: string; readonly factor: number; readonly forMs: number }
  | { readonly kind: 'drain'; readonly name: string; readonly forMs: number }
  | { readonly kind: 'set-role'; readonly name: string; readonly role: InstanceRole }
  | { readonly kind: 'migrate'; readonly from: string; readonly to: string; readonly forMs: number }

export interface FaultWish {
  /** After the cluster got ready: it waits from then on for work under way that it can hit. */
  readonly atMs: number
  readonly kind: FaultKind
}

export interface Strike {
  /** After the cluster got ready. */
  readonly atMs: number
  readonly fault: Fault
}

/** After a kill: the others notice its lease's end within this time. */
export const LAG = { fromMs: 1400, forMs: 1800 } as const

/** How long its effect lasts, what it restarts included. */
export function durationMs(fault: Fault): number {
  switch (fault.kind) {
    case 'kill':
      return Math.max(fault.restartMs, fault.lagFactor === undefined ? 0 : LAG.fromMs + LAG.forMs)
    case 'broker':
      return fault.downMs
    case 'freeze':
    case 'partition':
    case 'link':
    case 'kv-corruption':
    case 'slow':
    case 'drain':
    case 'migrate':
      return fault.forMs
    case 'kill-engine':
    case 'set-role':
      return 0
  }
}

/** Instances that it ends, as routers see it: who is cut off or stands still for longer than its lease allows is as good as dead. */
export function numDeathsOf(fault: Fault): number {
  const endsStay = fault.kind === 'kill' || fault.kind === 'kill-engine' || ((fault.kind === 'freeze' || fault.kind === 'partition') && fault.forMs >= LEASE_TIMES.fenceAfterMs)
  if (!endsStay) return 0
  const names = fault.kind === 'partition' ? fault.names : [fault.name]
  return names.filter((name) => name.startsWith('i')).length
}
