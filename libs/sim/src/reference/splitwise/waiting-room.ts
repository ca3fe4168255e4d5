// The tasks of one machine: which jobs it has, what waits, what runs. A plain book; batch-choice.ts reads it.
//
// 1. Every task of the machine is in the batch, or pending, or done and gone.
// 2. A job's tasks run one after another: only the first one that is left may run.
import type { Job, Task } from './job.ts'

/** Position behind everything that is not greater, found by halving: the list need not be sorted, as a key may have changed since. */
function insertionPoint<T>(list: readonly T[], isBefore: (other: T) => boolean): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (isBefore(list[middle]!)) high = middle
    else low = middle + 1
  }
  return low
}

function remove<T>(list: T[], item: T): void {
  const index = list.indexOf(item)
  if (index >= 0) list.splice(index, 1)
}

export class WaitingRoom {
  /** By skips, then arrival, as they were when the task came: the order is not kept up. */
  readonly pending: Task[] = []
  /** Those of `pending` that are prompts, first come first. */
  readonly prompts: Task[] = []
  /** Those of `pending` that were preempted, first come first. */
  readonly blocked: Task[] = []
  /** By arrival. */
  readonly jobs: Job[] = []
  readonly batch: Task[] = []
  numPromptsInBatch = 0
  readonly #tasks = new Map<Job, Task[]>()

  /** The task of a job that runs next, or runs. */
  firstOf(job: Job): Task {
    return this.#tasks.get(job)![0]!
  }

  /** That of every job, by arrival. */
  *firstTasks(): Generator<Task> {
    for (const job of this.jobs) yield this.firstOf(job)
  }

  add(task: Task): void {
    const { job } = task
    const tasks = this.#tasks.get(job)
    if (tasks === undefined) {
      this.#tasks.set(job, [task])
      this.jobs.splice(insertionPoint(this.jobs, (other) => job.request.arrivalMs < other.request.arrivalMs), 0, job)
    } else tasks.push(task)
    this.#addPending(task)
  }

  toBatch(task: Task): void {
    remove(this.pending, task)
    remove(this.blocked, task)
    if (task.kind === 'prompt') {
      remove(this.prompts, task)
      this.numPromptsInBatch += 1
    }
    this.batch.push(task)
  }

  /** Back from the batch. Only token tasks are preempted. */
  preempt(task: Task): void {
    remove(this.batch, task)
    this.#addPending(task)
    this.blocked.push(task)
  }

  /** From the batch, for good. */
  finish(task: Task): void {
    remove(this.batch, task)
    if (task.kind === 'prompt') this.numPromptsInBatch -= 1
    const tasks = this.#tasks.get(task.job)!
    remove(tasks, task)
    if (tasks.length > 0) return
    this.#tasks.delete(task.job)
    remove(this.jobs, task.job)
  }

  #addPending(task: Task): void {
    const arrivalMs = task.job.request.arrivalMs
    const isBefore = (other: Task): boolean =>
      task.numSkips < other.numSkips || (task.numSkips === other.numSkips && arrivalMs < other.job.request.arrivalMs)
    this.pending.splice(insertionPoint(this.pending, isBefore), 0, task)
    if (task.kind === 'prompt') this.prompts.push(task)
  }
}
