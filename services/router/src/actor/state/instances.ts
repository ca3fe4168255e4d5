// The instances this router knows: members of the cluster, as their own reports tell them.
//
// 1. One record per live incarnation. A restart under the same id yields a new record; the old one is handed back, with
//    the requests that were lost.
// 2. A report of an incarnation that was declared gone is ignored for RESURRECT_MS: it was on its way when it died. After
//    that it is believed, for then the declaration was wrong.
// 3. An address whose lease was lost is never used again: whatever still comes from there is ignored for good.
// 4. Only members are believed. An instance may have been declared gone before this router heard of it: nobody would ever tell
//    that such a one is lost. Whoever joins is greeted, so that a report which came too early comes again.
import type { Address } from '@rubato/actor'
import type { GoneMessage, InstanceRole, LoadMessage } from '@rubato/instance'
import type { FleetSnapshot } from './stats.ts'
import type { Instance, SentLoad } from './request.ts'

const RESURRECT_MS = 2000
const MAX_REMEMBERED_GONE = 1024

/** One instance as this router knows it. */
export interface InstanceView {
  readonly instanceId: string
  readonly incarnation: number
  readonly address: Address
  readonly role: InstanceRole
  /** null until its first report. */
  readonly load: LoadMessage | null
  readonly draining: boolean
  readonly lastHeardMs: number
  /** Of this router, owned by the instance now. */
  readonly numRequests: number
}

export interface Heard {
  /** null: the report is of an incarnation that is gone, or of no member. */
  readonly instance: Instance | null
  /** The incarnation it replaces. */
  readonly lost: Instance | null
}

interface Counters {
  preemptions: number
  prefixQueryTokens: number
  prefixHitTokens: number
  drafts: number
  draftTokens: number
  acceptedTokens: number
}

export class InstanceRegistry {
  readonly #instances = new Map<string, Instance>()
  readonly #gone = new Map<string, { readonly incarnation: number; readonly atMs: number }>()
  readonly #members = new Set<Address>()
  readonly #lostAddresses = new Set<Address>()
  /** Per fingerprint: counters of incarnations that are no more, so that sums never fall. Its keys are the models ever served. */
  readonly #past = new Map<string, Counters>()

  get size(): number {
    return this.#instances.size
  }

  values(): Iterable<Instance> {
    return this.#instances.values()
  }

  /** Whether the lease at this address was lost, whoever held it. */
  isLost(address: Address): boolean {
    return this.#lostAddresses.has(address)
  }

  get(instanceId: string): Instance | undefined {
    return this.#instances.get(instanceId)
  }

  /** True once any instance of this model has registered. */
  everServed(fingerprint: string): boolean {
    return this.#past.has(fingerprint)
  }

  /** Instances that may be given requests of this model. */
  serving(fingerprint: string): Instance[] {
    return [...this.#instances.values()].filter((instance) => instance.load?.modelFingerprint === fingerprint && !instance.draining)
  }

  /** A lease was taken at this address. */
  join(address: Address): void {
    if (!this.#lostAddresses.has(address)) this.#members.add(address)
  }

  /** Any sign of life. Creates the record of an incarnation not seen before. */
  hear(instanceId: string, incarnation: number, address: Address, nowMs: number): Heard {
    const known = this.#instances.get(instanceId)
    if (known !== undefined && known.incarnation === incarnation) {
      known.lastHeardMs = nowMs
      return { instance: known, lost: null }
    }
    if (!this.#members.has(address) || (known !== undefined && known.incarnation > incarnation) || this.#isGone(instanceId, incarnation, nowMs)) return { instance: null, lost: null }
    if (known !== undefined) this.#retire(known)
    const instance: Instance = {
      id: instanceId, incarnation, address, load: null, draining: false, lastHeardMs: nowMs,
      sent: nothingSent(), requests: new Set(), partnered: new Set(), onTrial: null, begunIds: null,
    }
    this.#instances.set(instanceId, instance)
    this.#gone.delete(instanceId)
    return { instance, lost: known ?? null }
  }

  report(instance: Instance, load: LoadMessage): void {
    instance.load = load
    instance.address = load.address
    instance.draining = load.draining
    Object.assign(instance.sent, nothingSent())
    if (!this.#past.has(load.modelFingerprint)) this.#past.set(load.modelFingerprint, { preemptions: 0, prefixQueryTokens: 0, prefixHitTokens: 0, drafts: 0, draftTokens: 0, acceptedTokens: 0 })
  }

  /** The record that died, null when the message is about an older incarnation. */
  remove(message: GoneMessage, nowMs: number): Instance | null {
    const known = this.#instances.get(message.instanceId)
    if (known !== undefined && known.incarnation > message.incarnation) return null
    this.#gone.delete(message.instanceId)
    this.#gone.set(message.instanceId, { incarnation: message.incarnation, atMs: nowMs })
    forgetOldest(this.#gone)
    if (known === undefined) return null
    this.#forget(known)
    known.begunIds = message.begunIds ?? null
    return known
  }

  /** The lease at this address is lost. The records that were there. */
  removeAt(address: Address): Instance[] {
    this.#members.delete(address)
    this.#lostAddresses.add(address)
    forgetOldest(this.#lostAddresses)
    const lost = [...this.#instances.values()].filter((instance) => instance.address === address)
    for (const instance of lost) this.#forget(instance)
    return lost
  }

  views(): InstanceView[] {
    return [...this.#instances.values()].map(({ id, incarnation, address, load, draining, lastHeardMs, requests }) => ({
      instanceId: id, incarnation, address, role: load?.role ?? 'mixed', load, draining, lastHeardMs, numRequests: requests.size,
    }))
  }

  snapshot(fingerprint: string): FleetSnapshot {
    const loads = [...this.#instances.values()].filter((instance) => instance.load?.modelFingerprint === fingerprint)
    const sum = (pick: (load: LoadMessage) => number): number => loads.reduce((total, instance) => total + (instance.load === null ? 0 : pick(instance.load)), 0)
    const past = this.#past.get(fingerprint)
    const totalBlocks = sum((load) => load.totalBlocks)
    const numDraining = loads.filter((instance) => instance.draining).length
    return {
      numServing: loads.length - numDraining,
      numDraining,
      numRunning: sum((load) => load.numRunning),
      numWaiting: sum((load) => load.numWaiting),
      kvUsageRatio: totalBlocks === 0 ? 0 : 1 - sum((load) => load.freeBlocks + load.cachedBlocks) / totalBlocks,
      preemptionsTotal: (past?.preemptions ?? 0) + sum((load) => load.preemptionsTotal),
      prefixQueryTokensTotal: (past?.prefixQueryTokens ?? 0) + sum((load) => load.prefixQueryTokensTotal),
      prefixHitTokensTotal: (past?.prefixHitTokens ?? 0) + sum((load) => load.prefixHitTokensTotal),
      draftsTotal: (past?.drafts ?? 0) + sum((load) => load.speculation?.draftsTotal ?? 0),
      draftTokensTotal: (past?.draftTokens ?? 0) + sum((load) => load.speculation?.draftTokensTotal ?? 0),
      acceptedTokensTotal: (past?.acceptedTokens ?? 0) + sum((load) => load.speculation?.acceptedTokensTotal ?? 0),
    }
  }

  #isGone(instanceId: string, incarnation: number, nowMs: number): boolean {
    const gone = this.#gone.get(instanceId)
    if (gone === undefined || incarnation > gone.incarnation) return false
    return incarnation < gone.incarnation || nowMs - gone.atMs < RESURRECT_MS
  }

  #forget(instance: Instance): void {
    this.#instances.delete(instance.id)
    this.#retire(instance)
  }

  #retire(instance: Instance): void {
    const { load } = instance
    const past = load === null ? undefined : this.#past.get(load.modelFingerprint)
    if (load === null || past === undefined) return
    past.preemptions += load.preemptionsTotal
    past.prefixQueryTokens += load.prefixQueryTokensTotal
    past.prefixHitTokens += load.prefixHitTokensTotal
    past.drafts += load.speculation?.draftsTotal ?? 0
    past.draftTokens += load.speculation?.draftTokensTotal ?? 0
    past.acceptedTokens += load.speculation?.acceptedTokensTotal ?? 0
  }
}

function nothingSent(): SentLoad {
  return { prefillTokens: 0, sequences: 0, contextTokens: 0, blocks: 0 }
}

function forgetOldest(remembered: Map<string, unknown> | Set<string>): void {
  const oldest = remembered.size > MAX_REMEMBERED_GONE ? remembered.keys().next().value : undefined
  if (oldest !== undefined) remembered.delete(oldest)
}
