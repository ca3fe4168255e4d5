// The work of a step command, as cost models and timers take it.
import type { StepCommand } from '@rubato/model'
import type { StepWork } from '@rubato/policy'

/** contextTokens is asked for every decode. */
export function stepWork({ cells, decodes }: StepCommand, contextTokens: (handle: number) => number): StepWork {
  return {
    cells: cells.map(({ start, count }) => ({ cellTokens: count, contextTokens: start })),
    decodes: decodes.map(({ handle, tree }) => ({ contextTokens: contextTokens(handle), nodes: tree?.tokenIds.length ?? 0 })),
  }
}
