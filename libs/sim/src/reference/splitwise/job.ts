// A request of the Splitwise reference and its two tasks: the prompt, and the tokens behind the first one.
import type { ReferenceRequest } from '../trace.ts'

export interface Task {
  readonly job: Job
  readonly kind: 'prompt' | 'token'
  /** What it counts in a batch: the whole prompt, or one token. */
  readonly batchTokens: number
  /** Taken when it first runs, and held by the job until its end. */
  readonly memoryBytes: number
  /** Tokens that it makes. */
  readonly numTokens: number
  /** queued: never ran; blocked: preempted, its KV stays in memory. */
  state: 'queued' | 'running' | 'blocked' | 'done'
  numMade: number
  /** Iterations for which it stood first of its job, and was not in the batch. */
  numSkips: number
}

/** Where a request's tasks run: positions in the cluster's list of machines. Equal: KV stays where it is. */
export interface Route {
  readonly promptMachine: number
  readonly tokenMachine: number
}

/** KV of a prompt and of the token that it makes. */
export function promptKvBytes({ promptTokens }: ReferenceRequest, kvBytesPerToken: number): number {
  return (promptTokens + 1) * kvBytesPerToken
}

/** KV of the tokens behind the first one. */
export function outputKvBytes({ outputTokens }: ReferenceRequest, kvBytesPerToken: number): number {
  return (outputTokens - 1) * kvBytesPerToken
}

export class Job {
  readonly request: ReferenceRequest
  readonly route: Route
  readonly prompt: Task
  readonly token: Task
  /** KV memory that its tasks have taken. */
  heldBytes = 0
  firstTokenMs: number
  endMs: number

  constructor(request: ReferenceRequest, route: Route, kvBytesPerToken: number) {
    this.request = request
    this.route = route
    this.firstTokenMs = request.arrivalMs
    this.endMs = request.arrivalMs
    this.prompt = this.#task('prompt', request.promptTokens, promptKvBytes(request, kvBytesPerToken), 1)
    this.token = this.#task('token', 1, outputKvBytes(request, kvBytesPerToken), request.outputTokens - 1)
  }

  #task(kind: Task['kind'], batchTokens: number, memoryBytes: number, numTokens: number): Task {
    return { job: this, kind, batchTokens, memoryBytes, numTokens, state: 'queued', numMade: 0, numSkips: 0 }
  }
}
