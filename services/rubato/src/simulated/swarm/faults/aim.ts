// Turns a wish into a strike at work that is under way, or into nothing while there is none that it could hit.
import type { InstanceRole } from '@rubato/instance'
import type { RandomStream } from '@rubato/sim'
import { pick } from '../draw/pick.ts'
import type { Fault, FaultKind } from './fault.ts'

/** Who works on something at this moment. */
export interface Targets {
  /** Instances with sequences in their engines. */
  readonly busyInstances: readonly string[]
  /** Instances that could take over. */
  readonly instances: readonly string[]
  /** Routers with requests. */
  readonly busyRouters: readonly string[]
  readonly migrators: readonly string[]
  /** Instances between which KV is on its way. */
  readonly shippers: readonly string[]
}

const ROLES: readonly InstanceRole[] = ['prefill', 'decode', 'mixed']

/** null: nothing of that kind would hit anything now. */
export function aim(kind: FaultKind, targets: Targets, random: RandomStream): Fault | null {
  const { busyInstances, instances, busyRouters, migrators, shippers } = targets
  const isShipping = shippers.length > 0
  const between = (low: number, high: number): number => Math.round(random.between(low, high))
  const at = (names: readonly string[], make: (name: string) => Fault): Fault | null => (names.length === 0 ? null : make(pick(random, names)))
  const links = (faults: Extract<Fault, { kind: 'link' }>['faults']): Fault | null => (busyInstances.length === 0 ? null : { kind: 'link', faults, forMs: between(200, 2000) })
  const busy = [...busyInstances, ...busyRouters]
  // Hand-offs break where one of the two is struck in the middle.
  const fragile = isShipping && random.next() < 0.6 ? shippers : busyInstances
  switch (kind) {
    case 'kill-instance':
      return at(fragile, (name) => ({ kind: 'kill', name, restartMs: between(200, 4000), ...(random.next() < 0.7 ? { lagFactor: 20 + 100 * random.next() } : {}) }))
    case 'kill-router':
      return at(busyRouters, (name) => ({ kind: 'kill', name, restartMs: between(200, 3000) }))
    case 'kill-migrator':
      return isShipping ? at(migrators, (name) => ({ kind: 'kill', name, restartMs: between(200, 3000) })) : null
    case 'kill-engine':
      return at(fragile, (name) => ({ kind: 'kill-engine', name }))
    case 'freeze':
      return at(busy, (name) => ({ kind: 'freeze', name, forMs: between(20, random.next() < 0.5 ? 300 : 5000) }))
    case 'partition':
      return at(busy, (name) => ({ kind: 'partition', names: [...new Set([name, ...(random.next() < 0.4 ? [pick(random, instances)] : [])])], forMs: between(50, 5000) }))
    case 'broker':
      return busy.length === 0 ? null : { kind: 'broker', downMs: between(50, 4000) }
    case 'loss':
      return links({ lossRatio: 0.005 + 0.06 * random.next() })
    case 'reorder':
      return links({ latencyFactor: 20 + 100 * random.next() })
    case 'kv-cut':
      return isShipping ? links({ kvCutRatio: 0.1 + 0.6 * random.next() }) : null
    case 'kv-corruption':
      return isShipping ? { kind: 'kv-corruption', ratio: 0.1 + 0.6 * random.next(), forMs: between(200, 2000) } : null
    case 'kv-slow':
      return isShipping ? links({ bandwidthFactor: 0.02 + 0.2 * random.next() }) : null
    case 'slow':
      return at(busyInstances, (name) => ({ kind: 'slow', name, factor: 3 + 17 * random.next(), forMs: between(100, 1500) }))
    case 'drain':
      return at(busyInstances, (name) => ({ kind: 'drain', name, forMs: between(100, 3000) }))
    case 'set-role':
      return at(busyInstances, (name) => ({ kind: 'set-role', name, role: pick(random, ROLES) }))
    case 'migrate': {
      const others = (from: string): readonly string[] => instances.filter((name) => name !== from)
      return at(busyInstances.filter((from) => others(from).length > 0), (from) => ({ kind: 'migrate', from, to: pick(random, others(from)), forMs: between(0, 400) }))
    }
  }
}
