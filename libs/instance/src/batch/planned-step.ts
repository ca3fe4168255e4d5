// A step between plan and commit: the command the engine got, and whom its parts belong to.
import type { StepCommand } from '@rubato/model'
import type { EngineSlot } from '../request/engine-slot.ts'
import type { InstanceRequest, Sequence } from '../request/request.ts'

/** A cell and the slot it writes; the sequence may have left that slot by the time the step ends. */
export interface CellRun {
  readonly sequence: Sequence
  readonly slot: EngineSlot
  /** KV tokens once it ran. */
  readonly end: number
}

export interface PlannedStep {
  readonly command: StepCommand
  /** KV tokens of the step's decodes, summed. */
  readonly decodeContextTokens: number
  /** Requests that it introduces to the engine. */
  readonly begun: readonly InstanceRequest[]
  readonly cells: readonly CellRun[]
  readonly forced: readonly { readonly sequence: Sequence; readonly slot: EngineSlot }[]
  /** Their blocks are free once the step completes. */
  readonly released: readonly EngineSlot[]
}
