// A cluster as the published Splitwise simulator (splitwise-sim) runs it, event by event: arrivals, machines, transfers.
//
// 1. A prompt's KV moves as one piece after the prompt, at 200 GiB/s whatever else moves; it holds memory at both ends
//    until it is there. A receiver without memory is asked again every second.
// 2. All routing and scheduling takes no time.
// 3. The simulation ends when every request has, or when nothing runs, moves or arrives any more: what is left then waits
//    for memory that nobody will give back.
import type { PublishedSplitwiseCurves } from '../../cost/splitwise/published-curves.ts'
import { SimWorld } from '../../sim-world.ts'
import { scheduleArrivals } from '../arrivals.ts'
import type { ReferenceRequest } from '../trace.ts'
import { Job } from './job.ts'
import type { Task } from './job.ts'
import { Machine } from './machine.ts'
import { DGX_MEMORY_BYTES, KV_LINK_BYTES_PER_SEC, TRANSFER_RETRY_MS } from './published.ts'
import type { SplitwiseModel } from './published.ts'
import { mixedPoolScheduler, tokenJsqScheduler } from './schedulers.ts'
import type { Scheduler } from './schedulers.ts'

export interface SplitwiseMachineSpec {
  readonly curves: PublishedSplitwiseCurves
  /** @default that of a DGX, 640 GiB */
  readonly memoryBytes?: number
}

interface WithModel {
  readonly model: SplitwiseModel
}

/** Every list has one machine or more. */
export type SplitwiseClusterConfig =
  | (WithModel & { readonly scheduler: 'token-jsq'; readonly machines: readonly SplitwiseMachineSpec[] })
  | (WithModel & { readonly scheduler: 'mixed-pool'; readonly promptMachines: readonly SplitwiseMachineSpec[]; readonly tokenMachines: readonly SplitwiseMachineSpec[] })

export interface SplitwiseRecord extends ReferenceRequest {
  readonly ttftMs: number
  /** (E2E - TTFT) over `outputTokens`: one too many, as published, which makes it look better. */
  readonly tbtMs: number
  readonly e2eMs: number
  /** Position in `machines`, or in the prompt machines followed by the token machines. */
  readonly promptMachine: number
  readonly tokenMachine: number
}

export interface SplitwiseRun {
  /** Of the requests that ended, in the order of the trace. */
  readonly records: readonly SplitwiseRecord[]
  readonly numUnfinished: number
}

class Cluster {
  readonly #world = new SimWorld({ seed: 0 })
  readonly #model: SplitwiseModel
  readonly #machines: readonly Machine[]
  readonly #scheduler: Scheduler
  readonly #jobs: Job[] = []
  /** Finished prompts whose KV waits for memory at the other end. */
  readonly #waiting = new Set<Job>()
  #numToArrive: number
  #numMoving = 0
  #numDone = 0

  constructor(config: SplitwiseClusterConfig, trace: readonly ReferenceRequest[]) {
    this.#model = config.model
    const specs = config.scheduler === 'token-jsq' ? config.machines : [...config.promptMachines, ...config.tokenMachines]
    this.#machines = specs.map((spec) => this.#machine(spec))
    this.#scheduler = config.scheduler === 'token-jsq'
      ? tokenJsqScheduler(this.#machines)
      : mixedPoolScheduler(this.#machines.slice(0, config.promptMachines.length), this.#machines.slice(config.promptMachines.length), config.model.kvBytesPerToken)
    this.#numToArrive = trace.length
    scheduleArrivals(this.#world, trace, (request, index) => this.#arrive(request, index))
  }

  run(numRequests: number): SplitwiseRun {
    this.#world.runUntil(() => this.#numDone === numRequests || this.#isStuck(), Number.POSITIVE_INFINITY)
    if (this.#numDone === numRequests) for (const machine of this.#machines) machine.assertEmpty()
    const records = this.#jobs.filter(({ token }) => token.state === 'done').map(({ request, route, firstTokenMs, endMs }): SplitwiseRecord => {
      const { arrivalMs, outputTokens } = request
      return { ...request, ...route, ttftMs: firstTokenMs - arrivalMs, tbtMs: (endMs - firstTokenMs) / outputTokens, e2eMs: endMs - arrivalMs }
    })
    return { records, numUnfinished: numRequests - records.length }
  }

  #machine({ curves, memoryBytes = DGX_MEMORY_BYTES }: SplitwiseMachineSpec): Machine {
    const machine: Machine = new Machine(this.#world, { curves, memoryBytes, weightsBytes: this.#model.weightsBytes }, {
      taskDone: (task) => this.#taskDone(task),
      idle: () => this.#scheduler.idle(machine),
    })
    return machine
  }

  #arrive(request: ReferenceRequest, index: number): void {
    this.#numToArrive -= 1
    const { prompt, token } = this.#scheduler.assign(request)
    const job = new Job(request, { promptMachine: this.#machines.indexOf(prompt), tokenMachine: this.#machines.indexOf(token) }, this.#model.kvBytesPerToken)
    this.#jobs[index] = job
    prompt.arrive(job.prompt)
    if (prompt === token) token.arrive(job.token)
  }

  #taskDone({ job, kind }: Task): void {
    if (kind === 'token') {
      job.endMs = this.#world.nowMs()
      this.#numDone += 1
      this.#tokenMachine(job).release(job.heldBytes)
      return
    }
    job.firstTokenMs = this.#world.nowMs()
    if (job.route.promptMachine !== job.route.tokenMachine) this.#move(job)
  }

  #move(job: Job): void {
    const receiver = this.#tokenMachine(job)
    if (!receiver.canHold(job.heldBytes)) {
      this.#waiting.add(job)
      this.#world.schedule(TRANSFER_RETRY_MS, () => this.#move(job))
      return
    }
    this.#waiting.delete(job)
    this.#numMoving += 1
    receiver.hold(job.heldBytes)
    const movedBytes = job.request.promptTokens * this.#model.kvBytesPerToken
    this.#world.schedule((movedBytes / KV_LINK_BYTES_PER_SEC) * 1000, () => this.#moved(job))
  }

  #moved(job: Job): void {
    this.#numMoving -= 1
    const sender = this.#machines[job.route.promptMachine]!
    sender.release(job.heldBytes)
    this.#tokenMachine(job).arrive(job.token)
    sender.memoryFreed()
  }

  #tokenMachine(job: Job): Machine {
    return this.#machines[job.route.tokenMachine]!
  }

  #isStuck(): boolean {
    if (this.#numToArrive > 0 || this.#numMoving > 0 || this.#machines.some(({ isBusy }) => isBusy)) return false
    return ![...this.#waiting].some((job) => this.#tokenMachine(job).canHold(job.heldBytes))
  }
}

/** Simulates a trace. Output lengths are known to it beforehand. Throws RubatoError `trace_unsorted` for a trace that is not in order of arrival. */
export function simulateSplitwiseCluster(config: SplitwiseClusterConfig, trace: readonly ReferenceRequest[]): SplitwiseRun {
  return new Cluster(config, trace).run(trace.length)
}
