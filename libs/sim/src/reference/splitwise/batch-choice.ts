// Which tasks run in a machine's next iteration (splitwise-sim, its Splitwise instance). In this order, each as long as
// 512 tasks, 2,048 batch tokens and memory allow; one over-long prompt may run by itself:
//
// 1. tasks that were skipped four times, as long as one stands first among the pending;
// 2. prompts, first come first served, never in parts;
// 3. preempted decodes; their KV is in memory already;
// 4. the decodes that run now;
// 5. the first task of every other job, by arrival.
//
// Decodes of the batch that found no place are preempted.
import type { Job, Task } from './job.ts'
import { MAX_BATCH, MAX_BATCH_TOKENS, MAX_SKIPS } from './published.ts'
import type { WaitingRoom } from './waiting-room.ts'

export interface BatchChoice {
  /** One per job. */
  readonly tasks: readonly Task[]
  readonly jobs: ReadonlySet<Job>
  readonly batchTokens: number
}

class Draft implements BatchChoice {
  readonly tasks: Task[] = []
  readonly jobs = new Set<Job>()
  batchTokens = 0
  freeBytes: number

  constructor(freeBytes: number) {
    this.freeBytes = freeBytes
  }

  /** Whether there is room for it by count and tokens. */
  hasPlace(task: Task): boolean {
    if (this.tasks.length === MAX_BATCH) return false
    return this.tasks.length === 0 || this.batchTokens + task.batchTokens <= MAX_BATCH_TOKENS
  }

  /** Whether its memory fits; what ran before has its memory. */
  fits(task: Task): boolean {
    return task.state !== 'queued' || task.memoryBytes <= this.freeBytes
  }

  add(task: Task): void {
    this.tasks.push(task)
    this.jobs.add(task.job)
    this.batchTokens += task.batchTokens
    if (task.state === 'queued') this.freeBytes -= task.memoryBytes
  }

  /** Adds tasks until one has no place or does not fit. A job takes part once. */
  addWhilePossible(tasks: Iterable<Task>): void {
    for (const task of tasks) {
      if (this.jobs.has(task.job)) continue
      if (!this.hasPlace(task) || !this.fits(task)) return
      this.add(task)
    }
  }
}

function addStarved(draft: Draft, pending: readonly Task[]): void {
  for (const task of pending) {
    if (task.numSkips < MAX_SKIPS || !draft.hasPlace(task)) return
    if (!draft.jobs.has(task.job) && draft.fits(task)) draft.add(task)
  }
}

/** Prompts of the batch must be done; freeBytes is what the machine has left. Reads, changes nothing. */
export function chooseBatch(room: WaitingRoom, freeBytes: number): BatchChoice {
  const draft = new Draft(freeBytes)
  addStarved(draft, room.pending)
  draft.addWhilePossible(room.prompts)
  draft.addWhilePossible(room.blocked)
  draft.addWhilePossible(room.batch)
  if (draft.jobs.size < room.jobs.length) draft.addWhilePossible(room.firstTasks())
  return draft
}
