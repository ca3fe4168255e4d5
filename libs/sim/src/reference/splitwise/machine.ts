// One machine of the Splitwise reference: iterations of a batch, chosen anew at every end.
//
//   idle --task--> running --end of the run--> running | idle
//
// 1. A run is one iteration with prompts, or as many decode iterations as the shortest decode has left.
// 2. A task that could join the batch cuts a run of decodes at the next end of an iteration; so does a prompt that could
//    by pushing decodes out. A prompt above 2,048 tokens cuts nothing; the token task that comes with it, where both run on
//    one machine, does.
// 3. Memory is taken when a task first runs and given back when its job leaves the machine. A machine that runs nothing
//    and has no memory for what comes stays idle until something else happens to it.
// 4. pendingTokens and reservedBytes are the scheduler's view: set when it assigns, lowered here as tasks end.
import assert from 'node:assert/strict'
import type { PublishedSplitwiseCurves } from '../../cost/splitwise/published-curves.ts'
import type { SimWorld } from '../../sim-world.ts'
import { chooseBatch } from './batch-choice.ts'
import type { Task } from './job.ts'
import { MAX_BATCH, MAX_BATCH_TOKENS } from './published.ts'
import { WaitingRoom } from './waiting-room.ts'

export interface MachineSpec {
  readonly curves: PublishedSplitwiseCurves
  readonly memoryBytes: number
  /** Taken from the memory for good. */
  readonly weightsBytes: number
}

export interface MachineEvents {
  /** The task has ended here; a prompt's KV is still held. */
  taskDone(task: Task): void
  /** It has no work left. */
  idle(): void
}

interface Run {
  readonly beganMs: number
  readonly iterationMs: number
  readonly cancel: () => void
  readonly numIterations: number
  readonly isCut: boolean
}

export class Machine {
  readonly memoryBytes: number
  readonly #world: SimWorld
  readonly #curves: PublishedSplitwiseCurves
  readonly #weightsBytes: number
  readonly #events: MachineEvents
  readonly #room = new WaitingRoom()
  #batchTokens = 0
  #run: Run | null = null
  #usedBytes: number
  pendingTokens = 0
  reservedBytes: number

  constructor(world: SimWorld, spec: MachineSpec, events: MachineEvents) {
    this.memoryBytes = spec.memoryBytes
    this.#world = world
    this.#curves = spec.curves
    this.#events = events
    this.#weightsBytes = spec.weightsBytes
    this.#usedBytes = spec.weightsBytes
    this.reservedBytes = spec.weightsBytes
  }

  get isBusy(): boolean {
    return this.#run !== null
  }

  get hasQueue(): boolean {
    return this.#room.pending.length > 0
  }

  canHold(bytes: number): boolean {
    return this.#usedBytes + bytes <= this.memoryBytes
  }

  hold(bytes: number): void {
    this.#usedBytes += bytes
  }

  release(bytes: number): void {
    this.#usedBytes -= bytes
    this.reservedBytes -= bytes
  }

  /** That everything taken here was given back. Throws AssertionError. */
  assertEmpty(): void {
    assert.equal(this.#usedBytes, this.#weightsBytes)
    assert.equal(this.pendingTokens, 0)
    assert.equal(this.#room.jobs.length + this.#room.pending.length + this.#room.batch.length, 0)
  }

  arrive(task: Task): void {
    this.#room.add(task)
    if (this.#room.batch.length === 0) {
      if (this.canHold(task.memoryBytes)) this.#beginRun()
    } else if (this.#couldJoin(task) || this.#couldPushIn(task)) this.#cutRun()
  }

  /** Memory was released here by somebody else. */
  memoryFreed(): void {
    const task = this.#room.pending[0]
    if (task === undefined) return
    if (this.#room.batch.length === 0) {
      if (this.canHold(task.memoryBytes)) this.#beginRun()
    } else if (this.#room.batch.length < MAX_BATCH && this.#batchTokens < MAX_BATCH_TOKENS) this.#cutRun()
  }

  #couldJoin({ batchTokens }: Task): boolean {
    return this.#room.batch.length < MAX_BATCH && this.#batchTokens + batchTokens <= MAX_BATCH_TOKENS
  }

  #couldPushIn({ kind, batchTokens }: Task): boolean {
    const { batch, numPromptsInBatch } = this.#room
    const numDecodes = batch.length - numPromptsInBatch
    return kind === 'prompt' && numDecodes > 0 && this.#batchTokens - numDecodes + batchTokens <= MAX_BATCH_TOKENS
  }

  #beginRun(): void {
    const room = this.#room
    const { tasks, jobs, batchTokens } = chooseBatch(room, this.memoryBytes - this.#usedBytes)
    this.#batchTokens = batchTokens
    for (const task of room.batch.filter(({ job }) => !jobs.has(job))) {
      task.state = 'blocked'
      room.preempt(task)
    }
    for (const task of tasks) {
      if (task.state === 'running') continue
      room.toBatch(task)
      this.#start(task)
    }
    if (jobs.size < room.jobs.length) for (const job of room.jobs) if (!jobs.has(job)) room.firstOf(job).numSkips += 1
    if (room.batch.length > 0) this.#schedule()
    else if (room.jobs.length === 0) this.#events.idle()
  }

  #start(task: Task): void {
    if (task.state === 'queued') {
      this.hold(task.memoryBytes)
      task.job.heldBytes += task.memoryBytes
    }
    task.state = 'running'
  }

  #schedule(): void {
    const { batch, numPromptsInBatch } = this.#room
    const numDecodes = batch.length - numPromptsInBatch
    const iterationMs = this.#curves.iterationMs(this.#batchTokens - numDecodes, numDecodes)
    const numIterations = numPromptsInBatch > 0 ? 1 : batch.reduce((least, { numTokens, numMade }) => Math.min(least, numTokens - numMade), Infinity)
    const cancel = this.#world.schedule(iterationMs * numIterations, () => this.#endRun())
    this.#run = { beganMs: this.#world.nowMs(), iterationMs, numIterations, cancel, isCut: false }
  }

  #cutRun(): void {
    const run = this.#run
    if (run === null || run.isCut || this.#room.numPromptsInBatch > 0) return
    run.cancel()
    const { beganMs, iterationMs } = run
    const elapsedMs = this.#world.nowMs() - beganMs
    const numIterations = Math.min(run.numIterations, Math.floor(elapsedMs / iterationMs) + 1)
    const cancel = this.#world.schedule(iterationMs * numIterations - elapsedMs, () => this.#endRun())
    this.#run = { beganMs, iterationMs, numIterations, cancel, isCut: true }
  }

  #endRun(): void {
    const { numIterations } = this.#run!
    this.#run = null
    const done: Task[] = []
    for (const task of this.#room.batch) {
      task.numMade += numIterations
      // Above it: a job of one token, whose token task makes none, beside a prompt. The original fails on such jobs.
      if (task.numMade >= task.numTokens) done.push(task)
    }
    for (const task of done) {
      task.state = 'done'
      this.pendingTokens -= task.batchTokens
      this.#room.finish(task)
      this.#events.taskDone(task)
    }
    this.#beginRun()
  }
}
