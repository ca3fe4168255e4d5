// Plans the next step: gives decodes their blocks (preempting where none are left), shows the policy what there is to do,
// admits what it granted, and builds the engine command. Sarathi-Serve Alg. 3, with the choices left to the policy.
//
// 1. Called only while no step is in flight.
// 2. Decodes get their blocks first: while one waits for a block there is none to admit a request with.
// 3. At most one request is preempted per step: its blocks come free when that step completes, and the sequences that
//    need them sit out that step.
// 4. A held request is admitted on its router's word alone (request/held-requests.ts).
import type { BlockPool } from '@rubato/kv'
import type { DraftWish } from '@rubato/model'
import type { BatchPlan, CellGrant, DecodeDemand, PrefillDemand } from '@rubato/policy'
import type { InstanceConfig } from '../instance-config.ts'
import { EngineSlot } from '../request/engine-slot.ts'
import type { HeldRequests } from '../request/held-requests.ts'
import type { InstanceRequest, Sequence } from '../request/request.ts'
import type { WaitingQueue } from '../request/waiting-queue.ts'
import type { Speculation } from '../speculation/speculation.ts'
import type { Admission, AdmissionCost } from './admission.ts'
import { cellSizes } from './cells.ts'
import type { PlannedStep } from './planned-step.ts'
import type { RunningSet } from './running-set.ts'
import { StepBuilder } from './step-builder.ts'
import type { StepClock } from './step-clock.ts'

type PrefillJob =
  /** Shown to the policy with this much of its prompt in the prefix index. */
  | { readonly kind: 'waiting'; readonly request: InstanceRequest; readonly hitTokens: number }
  | { readonly kind: 'prompt'; readonly request: InstanceRequest }
  | { readonly kind: 'replay'; readonly sequence: Sequence }

export interface PlannerParts {
  readonly config: InstanceConfig
  readonly pool: BlockPool
  readonly waiting: WaitingQueue
  readonly held: HeldRequests
  readonly running: RunningSet
  readonly admission: Admission
  readonly clock: StepClock
  /** null: nothing is ever drafted. */
  readonly speculation: Speculation | null
  /** Sequences that reservations for other instances' requests will take. */
  readonly reservedSequences: () => number
  readonly onAdmit: (request: InstanceRequest, nowMs: number) => void
  readonly onPreempt: (request: InstanceRequest, nowMs: number) => void
}

export class StepPlanner {
  readonly #parts: PlannerParts
  #lastStepId = 0
  #lastHandle = 0
  preemptionsTotal = 0
  prefixQueryTokensTotal = 0
  prefixHitTokensTotal = 0
  /** Reused between plans. */
  readonly #ready: Sequence[] = []
  readonly #jobs = new Map<number, PrefillJob>()
  #prefills: PrefillDemand[] = []

  constructor(parts: PlannerParts) {
    this.#parts = parts
  }

  /** Puts a request in line, with fresh handles for its next stay in the engine. */
  enqueue(request: InstanceRequest): void {
    request.state = 'waiting'
    this.giveSlots(request)
    this.#parts.waiting.add(request)
  }

  /** Fresh handles, without blocks, for all live choices. */
  giveSlots(request: InstanceRequest): void {
    for (const sequence of request.live) {
      sequence.state = 'pending'
      sequence.slot = new EngineSlot(++this.#lastHandle, this.#parts.config.shape.blockSize)
    }
  }

  /** The next step, or null when there is nothing to do. */
  plan(nowMs: number): PlannedStep | null {
    const { running } = this.#parts
    running.compact()
    const builder = new StepBuilder()
    for (const request of running.takeJoining()) builder.join(request)
    this.#growDecodes(nowMs)
    this.#collectPrefills(nowMs)
    let draft: DraftWish | undefined
    for (const starting of running.takeStarting()) if (starting.request.isAdmitted) builder.startChoices(starting)
    if (this.#ready.length > 0 || this.#prefills.length > 0) {
      const { speculation } = this.#parts
      speculation?.begin(this.#ready, nowMs)
      const plan = this.#decide(nowMs)
      this.#grantCells(plan.cells, builder, nowMs)
      // A policy may want a step of cells alone; when none of them found its blocks, decodes run, or nothing ever would.
      const runsDecodes = plan.runDecodes || !builder.hasCells
      if (runsDecodes) this.#addDecodes(builder)
      draft = speculation?.wish(runsDecodes, builder.samplers(), nowMs)
    }
    return builder.build(++this.#lastStepId, running.takeRetiring(), draft)
  }

  #addDecodes(builder: StepBuilder): void {
    const { speculation } = this.#parts
    speculation?.settleCells(builder.cellWork())
    for (const [place, sequence] of this.#ready.entries()) {
      builder.addDecode(sequence, speculation === null ? null : speculation.treeOf(place, (depth) => this.#draftRoom(sequence, depth)))
    }
  }

  /** Places for draft tokens, up to `depth`, with further blocks where they can be spared: each decode may need one for its next token. */
  #draftRoom(sequence: Sequence, depth: number): number {
    const { pool } = this.#parts
    const { table, kvTokens } = sequence.slot!
    const missing = table.missingBlocks(kvTokens + 1 + depth)
    if (missing > 0 && pool.availableBlocks >= missing + this.#ready.length) {
      const allocation = pool.allocate(missing)
      if (allocation.kind !== 'rejected') table.append(allocation.blockIds)
    }
    return table.capacityTokens - kvTokens - 1
  }

  /** Fills `ready` with the sequences that can decode; those that found no block are left out. */
  #growDecodes(nowMs: number): void {
    const { pool, running } = this.#parts
    const preemptionsBefore = this.preemptionsTotal
    this.#ready.length = 0
    for (const sequence of running.decoding) {
      if (sequence.state !== 'decoding') continue
      const { table, kvTokens } = sequence.slot!
      if (kvTokens + 1 > table.capacityTokens) {
        const allocation = pool.allocate(1)
        if (allocation.kind === 'rejected') {
          if (running.numRetiring === 0) this.#preemptWorst(nowMs)
          continue
        }
        table.append(allocation.blockIds)
      }
      this.#ready.push(sequence)
    }
    if (this.preemptionsTotal > preemptionsBefore) this.#dropPreempted()
  }

  #dropPreempted(): void {
    const still = this.#ready.filter(({ state }) => state === 'decoding')
    this.#ready.length = 0
    for (const sequence of still) this.#ready.push(sequence)
  }

  /** Recompute preemption: the request goes back to the head of the queue with its emitted tokens. */
  #preemptWorst(nowMs: number): void {
    const { running } = this.#parts
    const request = running.victim()
    if (request === undefined) return
    running.retireAll(request)
    this.#parts.onPreempt(request, nowMs)
    request.isUrgent = true
    request.preemptions++
    this.preemptionsTotal++
    this.enqueue(request)
  }

  #collectPrefills(nowMs: number): void {
    const { config, running } = this.#parts
    const { cellTokens } = config.shape
    this.#jobs.clear()
    this.#prefills = []
    for (const sequence of running.replaying) {
      if (sequence.state !== 'replaying') continue
      const { handle, kvTokens } = sequence.slot!
      const cells = cellSizes(kvTokens, sequence.settledKvTokens, cellTokens)
      this.#addJob({ kind: 'replay', sequence }, { handle, cellTokens: cells, contextTokens: kvTokens, admitted: true, ttftSlackMs: null })
    }
    for (const request of running.prompting) {
      if (request.state !== 'prompt') continue
      const { handle, kvTokens } = request.lead!.slot!
      const cells = cellSizes(kvTokens, request.promptLen, cellTokens)
      this.#addJob({ kind: 'prompt', request }, { handle, cellTokens: cells, contextTokens: kvTokens, admitted: true, ttftSlackMs: ttftSlackMs(request, nowMs) })
    }
    this.#collectWaiting(nowMs)
  }

  /**
   * Shows the queue from its head for as long as slots and blocks last and one step could take it. A held request that could begin
   * is asked for; until the answer is there those behind it go first.
   */
  #collectWaiting(nowMs: number): void {
    const { config, waiting, held, running, admission } = this.#parts
    let freeSlots = this.#freeSequences
    let promisedBlocks = 0
    let promisedTokens = 0
    for (let place = 0, isFirst = true; place < waiting.size && promisedTokens < config.limits.maxNumBatchedTokens; place++) {
      const request = waiting.at(place)!
      if (request.isHeld && !held.isNext(request)) continue
      if (request.live.length > freeSlots) return
      const cost: AdmissionCost = admission.cost(request)
      if (!admission.fits(cost, promisedBlocks, running.admitted.length === 0 && isFirst)) return
      if (request.isHeld) {
        held.ask(request)
        continue
      }
      isFirst = false
      freeSlots -= request.live.length
      promisedBlocks += cost.availableBlocksUsed
      promisedTokens += request.promptLen - cost.hitTokens
      this.#addJob({ kind: 'waiting', request, hitTokens: cost.hitTokens }, {
        handle: request.live[0]!.slot!.handle,
        cellTokens: cellSizes(cost.hitTokens, request.promptLen, config.shape.cellTokens),
        contextTokens: cost.hitTokens,
        admitted: false,
        ttftSlackMs: ttftSlackMs(request, nowMs),
      })
    }
  }

  #addJob(job: PrefillJob, demand: PrefillDemand): void {
    this.#jobs.set(demand.handle, job)
    this.#prefills.push(demand)
  }

  #decide(nowMs: number): BatchPlan {
    const { config, speculation } = this.#parts
    const demandOf = (sequence: Sequence): DecodeDemand => {
      const { slot, request: { message: { slo: { tpotMs } } } } = sequence
      return { handle: slot!.handle, contextTokens: slot!.kvTokens + 1, tpotMs, aheadMs: tpotMs === null ? 0 : aheadMs(sequence, tpotMs, nowMs) }
    }
    return config.batching({
      decodes: this.#ready.map(speculation === null ? demandOf : (sequence, place) => ({ ...demandOf(sequence), ...speculation.demandOf(place) })),
      prefills: this.#prefills,
      freeSequenceSlots: this.#freeSequences,
      maxBatchedTokens: config.limits.maxNumBatchedTokens,
      correctionRatio: this.#parts.clock.correctionRatio,
    })
  }

  #grantCells(grants: readonly CellGrant[], builder: StepBuilder, nowMs: number): void {
    const { cellTokens } = this.#parts.config.shape
    for (const { handle, numCells } of grants) {
      const job = this.#jobs.get(handle)
      if (job === undefined) throw new Error(`the batching policy granted cells to handle ${handle}, which did not ask`)
      this.#jobs.delete(handle)
      if (job.kind === 'replay') builder.addReplayCells(job.sequence, numCells, cellTokens)
      else {
        if (job.kind === 'waiting' && !this.#admit(job, builder, nowMs)) return
        // One cell per step where its KV moves on: what one cell wrote travels while the next is computed.
        builder.addPromptCells(job.request, job.request.handOff === null ? numCells : 1, cellTokens)
      }
    }
  }

  /** False: not in this step. Whoever was admitted before it may have taken blocks that it was to share: its cells would be others than those granted. */
  #admit({ request, hitTokens }: Extract<PrefillJob, { readonly kind: 'waiting' }>, builder: StepBuilder, nowMs: number): boolean {
    const { waiting, running, admission } = this.#parts
    if (request.live.length > this.#freeSequences || admission.cost(request).hitTokens !== hitTokens) return false
    const cost = admission.reserve(request, { isAlone: running.numSequences === 0, hits: 'cells' })
    if (cost === null) return false
    waiting.remove(request)
    running.admit(request)
    builder.admit(request)
    if (request.admittedMs === null) {
      request.admittedMs = nowMs
      request.cachedTokens = cost.hitTokens
      this.prefixQueryTokensTotal += request.promptLen
      this.prefixHitTokensTotal += cost.hitTokens
    }
    this.#parts.onAdmit(request, nowMs)
    return true
  }

  get #freeSequences(): number {
    const { config, running, reservedSequences } = this.#parts
    return config.limits.maxNumSeqs - running.numSequences - reservedSequences()
  }
}

/** Milliseconds that its tokens came before one in `tpotMs` each asks for them; negative when behind. */
function aheadMs(sequence: Sequence, tpotMs: number, nowMs: number): number {
  const { elapsedMs, emittedTokens } = sequence.paceAt(nowMs)
  return tpotMs * emittedTokens - elapsedMs
}

function ttftSlackMs(request: InstanceRequest, nowMs: number): number | null {
  const { ttftMs } = request.message.slo
  const isStarted = request.sequences.some(({ log }) => log.length > 0)
  return ttftMs === null || isStarted ? null : request.arrivalMs + ttftMs - nowMs
}
