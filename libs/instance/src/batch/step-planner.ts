// Plans the next step: gives decodes their blocks (preempting where none are left), shows the policy what there is to do,
// admits what it granted, and builds the engine command. Sarathi-Serve Alg. 3, with the choices left to the policy.
//
// 1. Called only while no step is in flight.
// 2. Decodes get their blocks first: while one waits for a block there is none to admit a request with.
// 3. At most one request is preempted per step: its blocks come free when that step completes, and the sequences that
//    need them sit out that step.
import type { BlockPool } from '@rubato/kv'
import type { BatchPlan, CellGrant, PrefillDemand } from '@rubato/policy'
import type { InstanceConfig } from '../instance-config.ts'
import { EngineSlot } from '../request/engine-slot.ts'
import type { InstanceRequest, Sequence } from '../request/request.ts'
import type { WaitingQueue } from '../request/waiting-queue.ts'
import type { Admission, AdmissionCost } from './admission.ts'
import { cellSizes } from './cells.ts'
import type { PlannedStep } from './planned-step.ts'
import type { RunningSet } from './running-set.ts'
import { StepBuilder } from './step-builder.ts'
import type { StepClock } from './step-clock.ts'

type PrefillJob =
  | { readonly kind: 'waiting' | 'prompt'; readonly request: InstanceRequest }
  | { readonly kind: 'replay'; readonly sequence: Sequence }

export interface PlannerParts {
  readonly config: InstanceConfig
  readonly pool: BlockPool
  readonly waiting: WaitingQueue
  readonly running: RunningSet
  readonly admission: Admission
  readonly clock: StepClock
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
    for (const sequence of request.live) {
      sequence.state = 'pending'
      sequence.slot = new EngineSlot(++this.#lastHandle, this.#parts.config.shape.blockSize)
    }
    this.#parts.waiting.add(request)
  }

  /** The next step, or null when there is nothing to do. */
  plan(nowMs: number): PlannedStep | null {
    const { running } = this.#parts
    running.compact()
    const builder = new StepBuilder()
    this.#growDecodes()
    this.#collectPrefills(nowMs)
    for (const starting of running.takeStarting()) if (starting.request.state === 'running') builder.startChoices(starting)
    if (this.#ready.length > 0 || this.#prefills.length > 0) {
      const plan = this.#decide()
      this.#grantCells(plan.cells, builder, nowMs)
      // A policy may want a step of cells alone; when none of them found its blocks, decodes run, or nothing ever would.
      if (plan.runDecodes || !builder.hasCells) for (const sequence of this.#ready) builder.addDecode(sequence)
    }
    return builder.build(++this.#lastStepId, running.takeRetiring())
  }

  /** Fills `ready` with the sequences that can decode; those that found no block are left out. */
  #growDecodes(): void {
    const { pool, running } = this.#parts
    const preemptionsBefore = this.preemptionsTotal
    this.#ready.length = 0
    for (const sequence of running.decoding) {
      if (sequence.state !== 'decoding') continue
      const { table, kvTokens } = sequence.slot!
      if (kvTokens + 1 > table.capacityTokens) {
        const allocation = pool.allocate(1)
        if (allocation.kind === 'rejected') {
          if (running.numRetiring === 0) this.#preemptWorst()
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
  #preemptWorst(): void {
    const { running } = this.#parts
    const request = running.victim()
    if (request === undefined) return
    running.retireAll(request)
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

  /** Shows the queue from its head for as long as slots and blocks last and one step could take it. */
  #collectWaiting(nowMs: number): void {
    const { config, waiting, running, admission } = this.#parts
    let freeSlots = config.limits.maxNumSeqs - running.numSequences
    let promisedBlocks = 0
    let promisedTokens = 0
    for (let place = 0; place < waiting.size && promisedTokens < config.limits.maxNumBatchedTokens; place++) {
      const request = waiting.at(place)!
      freeSlots -= request.live.length
      if (freeSlots < 0) return
      const cost: AdmissionCost = admission.cost(request)
      if (!admission.fits(cost, promisedBlocks, running.admitted.length === 0 && place === 0)) return
      promisedBlocks += cost.availableBlocksUsed
      promisedTokens += request.promptLen - cost.hitTokens
      this.#addJob({ kind: 'waiting', request }, {
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

  #decide(): BatchPlan {
    const { config, running } = this.#parts
    return config.batching({
      decodes: this.#ready.map((sequence) => ({
        handle: sequence.slot!.handle,
        contextTokens: sequence.slot!.kvTokens + 1,
        tpotMs: sequence.request.message.slo.tpotMs,
      })),
      prefills: this.#prefills,
      freeSequenceSlots: config.limits.maxNumSeqs - running.numSequences,
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
        if (job.kind === 'waiting' && !this.#admit(job.request, builder, nowMs)) return
        builder.addPromptCells(job.request, numCells, cellTokens)
      }
    }
  }

  #admit(request: InstanceRequest, builder: StepBuilder, nowMs: number): boolean {
    const { config, waiting, running, admission } = this.#parts
    if (running.numSequences + request.live.length > config.limits.maxNumSeqs) return false
    const cost = admission.reserve(request, running.numSequences === 0)
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
    return true
  }
}

function ttftSlackMs(request: InstanceRequest, nowMs: number): number | null {
  const { ttftMs } = request.message.slo
  const isStarted = request.sequences.some(({ log }) => log.length > 0)
  return ttftMs === null || isStarted ? null : request.arrivalMs + ttftMs - nowMs
}
