// Applies a completed step: KV progress, prefix index, new tokens, ended prompts and ended choices.
//
// 1. Results of sequences that left while the step ran are ignored; their slots already wait for release.
// 2. Order within a commit: blocks freed, cells, forced decodes, tokens. A choice is indexed before it can end.
import type { BlockPool } from '@rubato/kv'
import type { StepResult, StepTokens } from '@rubato/model'
import type { InstanceConfig } from '../instance-config.ts'
import type { SequenceTiming } from '../messages.ts'
import type { Outbox } from '../report/outbox.ts'
import type { EngineSlot } from '../request/engine-slot.ts'
import type { InstanceRequest, Sequence } from '../request/request.ts'
import type { CellRun, PlannedStep } from './planned-step.ts'
import type { PrefixWriter } from './prefix-writer.ts'
import type { RunningSet } from './running-set.ts'

export interface CommitParts {
  readonly config: InstanceConfig
  readonly pool: BlockPool
  readonly prefixes: PrefixWriter
  readonly running: RunningSet
  readonly outbox: Outbox
  /** Called for each request whose last choice ended. */
  readonly onRequestEnd: (request: InstanceRequest, nowMs: number) => void
  /** Called for each committed run of cells, and for each prompt that is complete, before its choices have their tokens. */
  readonly onCells: (run: CellRun, nowMs: number) => void
  readonly onPromptEnd: (request: InstanceRequest, leadSlot: EngineSlot, nowMs: number) => void
}

export class StepCommitter {
  readonly #parts: CommitParts
  constructor(parts: CommitParts) {
    this.#parts = parts
  }

  commit(step: PlannedStep, result: StepResult, nowMs: number): void {
    for (const { table } of step.released) this.#parts.pool.release(table.blockIds)
    for (const run of step.cells) this.#commitCell(run, nowMs)
    for (const { sequence, slot } of step.forced) {
      if (sequence.slot !== slot) continue
      slot.kvTokens++
      this.#parts.prefixes.indexWritten(sequence, slot)
    }
    for (const tokens of result.tokens) this.#commitTokens(tokens, nowMs)
  }

  #commitCell({ sequence, slot, end }: CellRun, nowMs: number): void {
    if (sequence.slot !== slot) return
    this.#parts.onCells({ sequence, slot, end }, nowMs)
    slot.kvTokens = end
    this.#parts.prefixes.indexWritten(sequence, slot)
    const { request } = sequence
    if (request.state === 'prompt') {
      if (end === request.promptLen) this.#endPrompt(request, slot, nowMs)
    } else if (end === sequence.settledKvTokens) this.#parts.running.enter(sequence, 'decoding')
  }

  #endPrompt(request: InstanceRequest, leadSlot: EngineSlot, nowMs: number): void {
    const { config, running } = this.#parts
    const lead = request.lead!
    const isHanding = request.handOff !== null
    request.state = isHanding ? 'handing' : 'running'
    request.lead = null
    request.promptEndMs ??= nowMs
    for (const sequence of request.live) {
      const slot = sequence.slot!
      if (slot !== leadSlot) this.#parts.prefixes.startBehindPrompt(request, slot)
      const replaysCells = config.shape.replay === 'cells' && slot.kvTokens < sequence.settledKvTokens
      if (isHanding) sequence.state = 'handing'
      else running.enter(sequence, replaysCells ? 'replaying' : 'decoding')
    }
    this.#parts.onPromptEnd(request, leadSlot, nowMs)
    // Before the lead can end or, aborted already, retire: its blocks are copied by the very next step, which also releases it.
    if (request.live.length > 1 || lead.state === 'dropped') running.startChoices({ request, leadSlot })
    if (lead.state === 'dropped') running.retire(lead)
  }

  #commitTokens({ handle, tokenIds, logprobs, finish, stopTokenId }: StepTokens, nowMs: number): void {
    const { running, outbox } = this.#parts
    const sequence = running.sequenceOf(handle)
    if (sequence === undefined || sequence.state === 'dropped') return
    const { request, log } = sequence
    const slot = sequence.slot!
    const firstIndex = log.length
    log.append(tokenIds, logprobs)
    sequence.acceptedDraftTokens += tokenIds.length - 1
    slot.kvTokens = sequence.settledKvTokens
    this.#parts.prefixes.indexWritten(sequence, slot)
    const end = finish === null ? null : { reason: finish, stopTokenId, timing: timingOf(sequence) }
    if (sequence.hasEmittedHere) outbox.add(sequence, { firstIndex, tokenIds, logprobs, finish: end })
    else outbox.add(sequence, { firstIndex, tokenIds, logprobs, start: startOf(request), finish: end })
    sequence.hasEmittedHere = true
    if (end === null) return
    log.finish(end)
    sequence.state = 'finished'
    running.retire(sequence)
    request.live = request.live.filter((other) => other !== sequence)
    if (request.live.length === 0) this.#parts.onRequestEnd(request, nowMs)
  }
}

/** Queueing and prefill are those of the first admission; a recovered request counts from its arrival here. */
function startOf(request: InstanceRequest): Pick<SequenceTiming, 'queueMs' | 'prefillMs' | 'cachedTokens'> {
  const admittedMs = request.admittedMs ?? request.arrivalMs
  return { queueMs: admittedMs - request.arrivalMs, prefillMs: (request.promptEndMs ?? admittedMs) - admittedMs, cachedTokens: request.cachedTokens }
}

/** What is known of a choice's times so far, those of the instance that handed it over included. */
export function timingOf({ request, acceptedDraftTokens, carriedTiming }: Sequence): SequenceTiming {
  if (carriedTiming !== null) {
    const preemptions = carriedTiming.preemptions + request.preemptions
    return { ...carriedTiming, preemptions, acceptedDraftTokens: carriedTiming.acceptedDraftTokens + acceptedDraftTokens }
  }
  return {
    ...startOf(request),
    preemptions: request.preemptions,
    acceptedDraftTokens,
    migrations: 0,
  }
}
