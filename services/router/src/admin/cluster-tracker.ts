// What changed in the cluster since the last look.
//
// 1. Each life of an instance joins once and ends once: gone, or fenced because a later life took its name. Only one that a
//    router gave up wrongly and hears again joins a second time.
// 2. An instance counts from its first load report on; while an engine restarts (no report yet) it stays as it was.
import type { InstanceView } from '../actor/state/instances.ts'
import { nameOf } from './instance-names.ts'

export interface ClusterState {
  readonly instances: readonly InstanceView[]
  readonly recoveriesTotal: number
}

export type InstanceChange = 'joined' | 'gone' | 'fenced' | 'draining' | 'undrained' | 'role-changed' | 'engine-restarted'

export type ClusterChange =
  | { readonly kind: InstanceChange; readonly instance: InstanceView }
  | { readonly kind: 'recovered'; readonly numRecoveries: number }

export class ClusterTracker {
  readonly #known = new Map<string, InstanceView>()
  /** Fenced ones that the router still lists. */
  readonly #fenced = new Set<string>()
  #recoveriesTotal: number

  constructor(state: ClusterState) {
    this.#recoveriesTotal = state.recoveriesTotal
    for (const instance of state.instances) if (instance.load !== null) this.#known.set(instance.instanceId, instance)
  }

  /** Those that joined and have not ended, as last seen. */
  instances(): readonly InstanceView[] {
    return [...this.#known.values()]
  }

  /** The changes up to this state, in an order that makes sense: ends first. */
  observe(state: ClusterState): readonly ClusterChange[] {
    const listed = new Map(state.instances.map((instance) => [instance.instanceId, instance]))
    const joined = state.instances.filter(({ instanceId, load }) => load !== null && !this.#known.has(instanceId) && !this.#fenced.has(instanceId))
    const changes = this.#ends(listed, new Set(joined.map(({ instanceId }) => nameOf(instanceId))))
    for (const instance of joined) {
      this.#known.set(instance.instanceId, instance)
      changes.push({ kind: 'joined', instance })
    }
    for (const instance of state.instances) changes.push(...this.#compare(instance))
    const numRecoveries = state.recoveriesTotal - this.#recoveriesTotal
    this.#recoveriesTotal = state.recoveriesTotal
    if (numRecoveries > 0) changes.push({ kind: 'recovered', numRecoveries })
    return changes
  }

  #ends(listed: ReadonlyMap<string, InstanceView>, takenNames: ReadonlySet<string>): ClusterChange[] {
    const changes: ClusterChange[] = []
    for (const instanceId of this.#fenced) if (!listed.has(instanceId)) this.#fenced.delete(instanceId)
    for (const [instanceId, instance] of this.#known) {
      const isFenced = takenNames.has(nameOf(instanceId))
      if (!isFenced && listed.has(instanceId)) continue
      this.#known.delete(instanceId)
      if (listed.has(instanceId)) this.#fenced.add(instanceId)
      changes.push({ kind: isFenced ? 'fenced' : 'gone', instance })
    }
    return changes
  }

  #compare(instance: InstanceView): ClusterChange[] {
    const before = this.#known.get(instance.instanceId)
    if (before === undefined || before === instance || instance.load === null) return []
    this.#known.set(instance.instanceId, instance)
    const changes: ClusterChange[] = []
    if (instance.incarnation > before.incarnation) changes.push({ kind: 'engine-restarted', instance })
    if (instance.role !== before.role) changes.push({ kind: 'role-changed', instance })
    if (instance.draining !== before.draining) changes.push({ kind: instance.draining ? 'draining' : 'undrained', instance })
    return changes
  }
}
