// Runs one plan to its end, with every invariant checked at every event.
//
//   get ready -> arrivals and faults -> all ended, all faults over -> idle within a lease period -> clients that leave -> idle again
//
// 1. A plan and its strikes decide everything: the same again gives the same run, event for event.
// 2. The first violation ends the run.
import { dispatchPolicy } from '@rubato/policy'
import { randomStream, SimWorld } from '@rubato/sim'
import type { RandomStream } from '@rubato/sim'
import { Verdict } from '../check/violation.ts'
import type { Violation } from '../check/violation.ts'
import { SimCluster } from '../../cluster/index.ts'
import type { SimClusterOptions, SimHosted, SimRequestRecord } from '../../cluster/index.ts'
import type { Visits } from '../coverage/transitions.ts'
import { longRequest } from '../draw/draw-requests.ts'
import type { PlannedRequest, SwarmPlan } from '../draw/plan.ts'
import { aim } from '../faults/aim.ts'
import { durationMs, numDeathsOf } from '../faults/fault.ts'
import type { Fault, FaultKind, Strike } from '../faults/fault.ts'
import { damagedPulls } from '../faults/kv-damage.ts'
import { strike } from '../faults/strike.ts'
import { Weather } from '../faults/weather.ts'
import { refusalIsRight } from './endings.ts'
import { Invariants } from './invariants.ts'
import { instanceSpec } from './instance-spec.ts'

/** What is hosted in place of an actor, beneath the checks: for tests that break something on purpose. */
export type Mutation = (hosted: SimHosted) => Pick<SimHosted, 'actor' | 'effects'>

export interface RunOptions {
  /** In place of those that the plan wishes for. */
  readonly strikes?: readonly Strike[]
  readonly mutation?: Mutation
  readonly onTrace?: (line: string) => void
}

export interface RunResult {
  /** null: everything held. */
  readonly violation: Violation | null
  /** What happened to whom: each hit work that was under way. */
  readonly strikes: readonly Strike[]
  readonly visits: Visits
  readonly numRequests: number
  readonly numEvents: number
}

/** A wish that finds nothing to hit tries again. */
const AIM_EVERY_MS = 10
/** After the last arrival and the last fault: below the router's noProgressMs, its last resort, which nothing should come to need. */
const END_LIMIT_MS = 90_000
/** One lease period, and the report after it. */
const LEASE_MS = 2_500
/** Until what a lost router left behind is given up: its orphan's time after its lease. */
const ORPHAN_MS = 11_000
const NUM_LEAVING = 2
const LEAVE_AFTER_MS = 150

export function runPlan(plan: SwarmPlan, options: RunOptions = {}): RunResult {
  return new PlanRun(plan, options).run()
}

class PlanRun {
  readonly #plan: SwarmPlan
  readonly #options: RunOptions
  readonly #world: SimWorld
  readonly #verdict: Verdict
  readonly #invariants: Invariants
  readonly #cluster: SimCluster
  readonly #weather: Weather
  readonly #slowness = new Map<string, number>()
  readonly #aiming: RandomStream
  readonly #strikes: Strike[] = []
  readonly #records = new Map<SimRequestRecord, PlannedRequest>()
  #numWishes = 0
  #startMs = 0
  #calmMs = 0
  #numFenced = 0

  constructor(plan: SwarmPlan, options: RunOptions) {
    const { seed } = plan
    this.#plan = plan
    this.#options = options
    this.#world = new SimWorld({ seed, ...(options.onTrace === undefined ? {} : { onTrace: options.onTrace }) })
    this.#verdict = new Verdict(() => this.#world.nowMs())
    this.#invariants = new Invariants(plan, this.#verdict)
    this.#aiming = randomStream(seed, 'swarm aiming')
    this.#cluster = this.#assemble()
    this.#weather = new Weather(this.#cluster)
  }

  run(): RunResult {
    this.#cluster.runUntilReady()
    this.#startMs = this.#calmMs = this.#world.nowMs()
    this.#schedule()
    this.#serve()
    if (!this.#isBroken) this.#rest()
    if (!this.#isBroken) this.#leave()
    const { violation } = this.#verdict
    return { violation, strikes: this.#strikes, visits: this.#invariants.coverage.visits, numRequests: this.#records.size, numEvents: this.#world.numEvents }
  }

  #assemble(): SimCluster {
    const { seed, fleet } = this.#plan
    const damage = randomStream(seed, 'swarm kv damage')
    const { mutation = (hosted) => hosted } = this.#options
    const wrap: NonNullable<SimClusterOptions['wrap']> = (hosted) => {
      const effects = damagedPulls(hosted.effects, damage, () => this.#weather.corruptionRatio)
      return this.#invariants.watch({ ...hosted, ...mutation({ ...hosted, effects }) }, hosted)
    }
    return new SimCluster({
      world: this.#world, numRouters: fleet.numRouters, numMigrators: fleet.numMigrators, migration: fleet.numMigrators > 0 ? 'llumnix' : 'off',
      instances: fleet.instances.map((planned) => instanceSpec(planned, () => this.#slowness.get(planned.name) ?? 1)),
      dispatch: dispatchPolicy(fleet.dispatch, { placement: fleet.placement }), maxMigrations: fleet.maxMigrations, enablePrefixCache: fleet.enablePrefixCache,
      engine: 'checked', wrap, admission: { maxConcurrentRequests: fleet.maxConcurrentRequests, migrationLimit: fleet.migrationLimit },
      recording: {
        keepsTokens: true, keepsGaps: false,
        onTokens: (record) => this.#invariants.tokens.onTokens(record),
        onEnd: (record) => this.#ended(record),
      },
    })
  }

  #schedule(): void {
    for (const planned of this.#plan.requests) this.#world.schedule(planned.arrivalMs, () => this.#submit(planned))
    const { strikes } = this.#options
    if (strikes === undefined) for (const { atMs, kind } of this.#plan.wishes) this.#world.schedule(atMs, () => this.#wish(kind))
    else for (const { atMs, fault } of strikes) this.#world.schedule(atMs, () => this.#strike(fault))
    this.#numWishes = strikes === undefined ? this.#plan.wishes.length : strikes.length
  }

  #submit(planned: PlannedRequest): SimRequestRecord {
    const record = this.#cluster.submit(planned.request)
    this.#records.set(record, planned)
    const { cancelAfterMs } = planned
    if (cancelAfterMs !== null) this.#world.schedule(cancelAfterMs, () => this.#cluster.cancel(record))
    return record
  }

  #wish(kind: FaultKind): void {
    const fault = aim(kind, this.#targets(), this.#aiming)
    if (fault !== null) this.#strike(fault)
    else if (this.#isWorking) this.#world.schedule(AIM_EVERY_MS, () => this.#wish(kind))
    else this.#numWishes -= 1
  }

  #targets(): Parameters<typeof aim>[1] {
    const { instances, migrators } = this.#cluster.running()
    const busyRouters = this.#cluster.routers().filter(({ actor }) => actor.sizes()['byId']! > 0).map(({ name }) => name)
    return { instances, migrators, busyRouters, busyInstances: instances.filter((name) => this.#invariants.work.numLive(name) > 0), shippers: this.#invariants.shippers(this.#world.nowMs()) }
  }

  #strike(fault: Fault): void {
    const nowMs = this.#world.nowMs()
    this.#numWishes -= 1
    this.#strikes.push({ atMs: nowMs - this.#startMs, fault })
    this.#calmMs = Math.max(this.#calmMs, nowMs + durationMs(fault))
    const resumes = [...this.#records.keys()].map((record) => record.resumes)
    strike(fault, { cluster: this.#cluster, weather: this.#weather, slowness: this.#slowness })
    for (const [index, [record, { isImpatient }]] of [...this.#records].entries()) if (isImpatient && record.resumes > resumes[index]!) this.#cluster.cancel(record)
  }

  get #isWorking(): boolean {
    return this.#records.size < this.#plan.requests.length || this.#cluster.numOpen > 0
  }

  /** Looked at after every event. */
  get #isBroken(): boolean {
    const { crashes, numFenced } = this.#cluster
    for (; this.#numFenced < numFenced; this.#numFenced++) this.#invariants.coverage.fenced()
    const [crash] = crashes
    if (crash !== undefined) {
      const message = crash instanceof Error ? crash.message : 'an actor or an engine threw'
      const isBooks = message.startsWith('instance: ') || message.startsWith('engine: ') || message.startsWith('arena: ') || message.startsWith('block')
      this.#verdict.fail(isBooks ? 'conservation' : 'crash', message)
    }
    return this.#verdict.violation !== null
  }

  #serve(): void {
    const lastArrivalMs = this.#startMs + (this.#plan.requests.at(-1)?.arrivalMs ?? 0)
    const limitMs = (): number => Math.max(lastArrivalMs, this.#calmMs) + END_LIMIT_MS
    const isOver = (): boolean => this.#isBroken || (!this.#isWorking && this.#numWishes === 0)
    // A fault that strikes meanwhile puts the limit off.
    for (let untilMs = 0; untilMs < limitMs(); ) {
      untilMs = limitMs()
      if (this.#world.runUntil(isOver, untilMs - this.#world.nowMs())) return
    }
    const open = [...this.#records.keys()].filter(({ end }) => end === null).map(({ requestId }) => requestId)
    this.#verdict.fail('unfinished', `${open.length} requests have not ended ${END_LIMIT_MS / 1000} s after the last fault: ${open.join(' ')}`, open)
  }

  /** Nothing is held any more: within a lease period, or within an orphan's time where a router was lost. */
  #rest(): void {
    const hasOrphans = this.#cluster.numFenced > 0 || this.#strikes.some(({ fault }) => fault.kind === 'kill' && fault.name.startsWith('r'))
    this.#runOn(Math.max(0, this.#calmMs - this.#world.nowMs()) + LEASE_MS)
    if (!hasOrphans) return this.#assertIdle()
    this.#runOn(ORPHAN_MS)
    this.#assertIdle()
  }

  /** Undisturbed, clients leave: their requests would run for longer than a lease period. */
  #leave(): void {
    const random = randomStream(this.#plan.seed, 'swarm leaving')
    const records = Array.from({ length: NUM_LEAVING }, (_, index) => this.#submit({ arrivalMs: 0, request: longRequest(random, `leaving${index}`), cancelAfterMs: null, isImpatient: false }))
    this.#runOn(LEAVE_AFTER_MS)
    for (const record of records) this.#cluster.cancel(record)
    this.#runOn(LEASE_MS)
    this.#assertIdle()
    if (!this.#isBroken) this.#assertNobodyIsRemembered()
    if (!this.#isBroken) this.#invariants.findGhosts([...this.#records.keys()].map(({ requestId }) => requestId), this.#world.nowMs())
  }

  #runOn(forMs: number): void {
    const untilMs = this.#world.nowMs() + forMs
    if (!this.#isBroken && !this.#world.runUntil(() => this.#isBroken, forMs)) this.#world.runFor(Math.max(0, untilMs - this.#world.nowMs()))
  }

  #assertIdle(): void {
    if (!this.#isBroken) this.#verdict.check('leak', [], () => this.#cluster.assertIdle(`seed ${this.#plan.seed}`))
  }

  /** Routers know the instances that are there, and none that is gone. */
  #assertNobodyIsRemembered(): void {
    const numThere = this.#cluster.loads().filter(({ load }) => load !== null).length
    for (const { name, actor } of this.#cluster.routers()) {
      const numKnown = actor.instances().length
      if (numKnown !== numThere) this.#verdict.fail('leak', `${name} knows ${numKnown} instances, ${numThere} are there`)
    }
  }

  #ended(record: SimRequestRecord): void {
    this.#invariants.tokens.onEnd(record)
    if (record.end !== 'failed') return
    // A short partition takes a lease, too, when the renewal was due in it and lags keep the next one.
    const numDeaths = this.#cluster.numFenced + this.#strikes.reduce((sum, { fault }) => sum + numDeathsOf(fault), 0)
    if (!refusalIsRight(record, { nowMs: this.#world.nowMs(), mayBeQuarantined: numDeaths >= this.#plan.fleet.migrationLimit })) {
      this.#verdict.fail('dropped', `${record.requestId} failed: ${record.error}`, [record.requestId])
    }
  }
}
