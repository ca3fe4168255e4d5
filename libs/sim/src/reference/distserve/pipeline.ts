// One instance of the DistServe reference: a ring of stages, each of which runs one batch at a time.
//
//   idle --work--> waking --now--> busy --batch done--> busy | idle
//
// 1. A stage with prompts runs them before its decodes: an instance that does both is prefill-first, as vLLM was.
// 2. A prefill batch is formed at the head, first come first served, of whole prompts up to the instance's token
//    capacity, and stays together; it goes from stage to stage.
// 3. A decode batch is formed anew at every stage from what waits there, up to 50,000 tokens of context. A token counts
//    when the last stage is done with it; then the request goes back to the head.
// 4. A stage that is woken begins behind everything else that is due at the same time, so that work which arrives
//    together is batched together.
import type { SimWorld } from '../../sim-world.ts'
import type { StageTimes } from './stage-times.ts'

/** Tokens of context in one decode batch; hard-coded in `simdistserve`, whatever the KV capacity. */
export const MAX_DECODE_BATCH_TOKENS = 50_000

export interface DistServeInstance {
  readonly times: StageTimes
  readonly numStages: number
  /** KV capacity, tokens; bounds a prefill batch and nothing else. */
  readonly capacityTokens: number
}

export interface Job {
  readonly promptTokens: number
  readonly outputTokens: number
  numDecoded: number
  firstTokenMs: number
  endMs: number
}

export interface PipelineEvents {
  prefilled(job: Job): void
  finished(job: Job): void
}

interface Stage {
  readonly index: number
  /** Whole prefill batches that the stage before has done. */
  readonly batches: Job[][]
  /** Requests whose next token waits for this stage. */
  decodes: Job[]
  phase: 'idle' | 'waking' | 'busy'
}

export class Pipeline {
  readonly #world: SimWorld
  readonly #instance: DistServeInstance
  readonly #events: PipelineEvents
  readonly #stages: readonly Stage[]
  /** Prompts that wait at the head. */
  readonly #prompts: Job[] = []
  /** Prompts in the head's batch. */
  #numPrefilling = 0

  constructor(world: SimWorld, instance: DistServeInstance, events: PipelineEvents) {
    this.#world = world
    this.#instance = instance
    this.#events = events
    this.#stages = Array.from({ length: instance.numStages }, (_, index) => ({ index, batches: [], decodes: [], phase: 'idle' as const }))
  }

  /** What the router compares for a new prompt. */
  get prefillLoad(): number {
    return this.#numPrefilling + this.#prompts.length
  }

  /** What the router compares for a prefilled request. */
  get decodeLoad(): number {
    return this.#numPrefilling + this.#stages[0]!.decodes.length
  }

  submitPrompt(job: Job): void {
    this.#prompts.push(job)
    this.#wake(this.#stages[0]!)
  }

  submitDecode(job: Job): void {
    const head = this.#stages[0]!
    head.decodes.push(job)
    this.#wake(head)
  }

  #wake(stage: Stage): void {
    if (stage.phase !== 'idle') return
    stage.phase = 'waking'
    this.#world.schedule(0, () => this.#runNext(stage))
  }

  #runNext(stage: Stage): void {
    if (stage.index === 0 && this.#prompts.length > 0) this.#runPrefill(stage, this.#popPrompts())
    else if (stage.batches.length > 0) this.#runPrefill(stage, stage.batches.shift()!)
    else if (stage.decodes.length > 0) this.#runDecode(stage)
    else stage.phase = 'idle'
  }

  #popPrompts(): Job[] {
    let freeTokens = this.#instance.capacityTokens
    let count = 0
    for (const { promptTokens } of this.#prompts) {
      if (promptTokens > freeTokens) break
      freeTokens -= promptTokens
      count += 1
    }
    return this.#prompts.splice(0, count)
  }

  #runPrefill(stage: Stage, batch: Job[]): void {
    let promptTokens = 0
    let squaredPromptTokens = 0
    for (const job of batch) {
      promptTokens += job.promptTokens
      squaredPromptTokens += job.promptTokens ** 2
    }
    const isHead = stage.index === 0
    if (isHead) this.#numPrefilling = batch.length
    this.#run(stage, this.#instance.times.prefillMs({ promptTokens, squaredPromptTokens }, isHead), () => {
      if (isHead) this.#numPrefilling = 0
      const next = this.#stages[stage.index + 1]
      if (next === undefined) for (const job of batch) this.#events.prefilled(job)
      else {
        next.batches.push(batch)
        this.#wake(next)
      }
    })
  }

  #runDecode(stage: Stage): void {
    let contextTokens = 0
    let numRequests = 0
    for (const job of stage.decodes) {
      const jobTokens = job.promptTokens + job.numDecoded
      if (contextTokens + numRequests + jobTokens + 1 > MAX_DECODE_BATCH_TOKENS) break
      contextTokens += jobTokens
      numRequests += 1
    }
    const batch = stage.decodes
    stage.decodes = batch.splice(numRequests)
    this.#run(stage, this.#instance.times.decodeMs({ numRequests, contextTokens }, stage.index === 0), () => this.#endDecode(stage, batch))
  }

  #endDecode(stage: Stage, batch: readonly Job[]): void {
    const isLast = stage.index === this.#stages.length - 1
    const next = this.#stages[isLast ? 0 : stage.index + 1]!
    for (const job of batch) {
      if (isLast) job.numDecoded += 1
      if (job.numDecoded >= job.outputTokens) this.#events.finished(job)
      else next.decodes.push(job)
    }
    this.#wake(next)
  }

  #run(stage: Stage, durationMs: number, end: () => void): void {
    stage.phase = 'busy'
    this.#world.schedule(durationMs, () => {
      end()
      this.#runNext(stage)
    })
  }
}
