// All that the router remembers between messages, and the rules for when to look after a request again. The transitions
// live in the files above this folder; they take this record and the time.
//
// 1. byClient holds every request that still owes its client an event; byId those of them whose id is taken.
// 2. byEffect holds one entry per tokenize or generate effect whose completion would change a request.
// 3. Every request in byClient is in the deadline heap exactly when some wait of its may run out.
import type { EffectId } from '@rubato/actor'
import type { AckMessage } from '@rubato/instance'
import { DeadlineHeap } from './deadlines.ts'
import { InstanceRegistry } from './instances.ts'
import type { ClientId, RouterParts, ServedModel } from './messages.ts'
import { KnownPrefixes } from './known-prefixes.ts'
import { Outbox } from './outbox.ts'
import { isOrphanedPair } from './request.ts'
import type { LiveRequest } from './request.ts'
import { ModelStats } from './stats.ts'
import type { RouterSnapshot } from './stats.ts'
import { ServiceRate, WaitingLine } from './waiting-line.ts'

export interface ModelEntry {
  readonly model: ServedModel
  readonly stats: ModelStats
}

export class RouterState {
  readonly parts: RouterParts
  readonly models: ReadonlyMap<string, ModelEntry>
  readonly byClient = new Map<ClientId, LiveRequest>()
  readonly byId = new Map<string, LiveRequest>()
  readonly byEffect = new Map<EffectId, LiveRequest>()
  readonly instances = new InstanceRegistry()
  readonly line = new WaitingLine<LiveRequest>()
  /** Admitted, and no instance can take them now. */
  readonly unplaced = new Set<LiveRequest>()
  readonly deadlines = new DeadlineHeap<LiveRequest>()
  readonly outbox = new Outbox()
  readonly rate: ServiceRate
  /** Acknowledgements of requests that ended since the last round, per instance address. */
  readonly finalAcks = new Map<string, AckMessage['acks'][number][]>()
  /** What this router sent where, as prefixes that the instances' caches probably hold. */
  readonly prefixes = new KnownPrefixes()
  /** Being tokenised or looked for. */
  numEntering = 0
  numAdmitted = 0
  numDispatches = 0
  numArrivals = 0
  /** Every dispatch draws its own `recovery`, so that a request id used again is never confused with its past. Each router counts for itself. */
  lastRecovery = 0
  ackTimer: EffectId | null = null
  wakeTimer: { readonly id: EffectId; readonly atMs: number } | null = null
  /** Something changed that may let an unplaced request go. */
  placementDue = false
  draining = false

  constructor(parts: RouterParts, nowMs: number) {
    this.parts = parts
    this.rate = new ServiceRate(nowMs)
    this.models = new Map(parts.models.map((model) => [model.id, { model, stats: new ModelStats() }]))
  }

  /** Requests that count against maxConcurrentRequests + queueSize. */
  get numAtDoor(): number {
    return this.numEntering + this.line.size + this.numAdmitted
  }

  /** An empty name means the first model. */
  modelNamed(name: string): ModelEntry | undefined {
    const first = this.parts.models[0]
    return this.models.get(name === '' && first !== undefined ? first.id : name)
  }

  /** Puts the request into the deadline heap at the moment its earliest wait may run out. */
  schedule(request: LiveRequest, nowMs: number): void {
    let checkAtMs = waitEndsMs(request, this.parts, nowMs)
    const { deadlineMs, pausedSinceMs } = request
    if (deadlineMs !== null && request.state.kind !== 'ended') checkAtMs = earlier(checkAtMs, deadlineMs)
    if (pausedSinceMs !== null) checkAtMs = earlier(checkAtMs, pausedSinceMs + this.parts.config.timing.pauseTimeoutMs)
    if (checkAtMs === null) this.deadlines.remove(request)
    else this.deadlines.set(request, checkAtMs)
  }

  snapshot(): RouterSnapshot {
    const requests = [...this.byClient.values()]
    const count = (model: ServedModel, ...kinds: string[]): number => requests.filter((request) => request.model === model && kinds.includes(request.state.kind)).length
    return {
      draining: this.draining,
      numLive: requests.length,
      models: [...this.models.values()].map(({ model, stats }) => ({
        model: model.id,
        numQueued: count(model, 'tokenizing', 'locating', 'queued'),
        numRunning: count(model, 'waiting', 'contested', 'dispatched', 'streaming'),
        stats: stats.snapshot(),
        fleet: this.instances.snapshot(model.fingerprint),
      })),
    }
  }
}

function earlier(a: number | null, b: number): number {
  return a === null ? b : Math.min(a, b)
}

function waitEndsMs(request: LiveRequest, parts: RouterParts, nowMs: number): number | null {
  const { queueTimeoutMs, timing } = parts.config
  switch (request.state.kind) {
    case 'tokenizing':
      return request.submittedMs + timing.tokenizeTimeoutMs
    case 'queued':
      return request.state.sinceMs + queueTimeoutMs
    case 'waiting': {
      const sinceMs = request.unservedSinceMs ?? nowMs
      const limits = [sinceMs + timing.instanceWaitMs, sinceMs + timing.noProgressMs, ...request.avoid.values()]
      return Math.min(...limits.filter((atMs) => atMs > nowMs), nowMs + timing.probeMs)
    }
    case 'locating':
    case 'contested':
      return request.state.untilMs
    case 'dispatched':
    case 'streaming': {
      const probeAtMs = Math.max(request.lastProgressMs, request.probedMs ?? request.lastProgressMs) + timing.probeMs
      return isOrphanedPair(request) ? Math.min(probeAtMs, request.lastProgressMs + timing.partnerLossMs) : probeAtMs
    }
    case 'ended':
      return null
  }
}
