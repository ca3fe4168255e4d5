// What can go wrong. A wish says what kind of thing shall happen and about when; a strike says what happened to whom.
import type { InstanceRole } from '@rubato/instance'
import type { LinkFaults } from '../../cluster/index.ts'

export const FAULT_KINDS = [
  'kill-instance', 'kill-router', 'kill-migrator', 'kill-engine', 'freeze', 'partition', 'broker', 'loss', 'reorder', 'kv-cut', 'kv-corruption', 'kv-slow',
  'slow', 'drain', 'set-role', 'migrate',
] as const

export type FaultKind = (typeof FAULT_KINDS)[number]

export type Fault =
  | { readonly kind: 'kill'; readonly name: string; readonly restartMs: number }
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

/** How long its effect lasts, what it restarts included. */
export function durationMs(fault: Fault): number {
  switch (fault.kind) {
    case 'kill':
      return fault.restartMs
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
