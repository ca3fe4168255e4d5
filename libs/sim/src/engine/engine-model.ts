// What a simulated engine computes, apart from how long that takes.
import type { EngineCommand, EngineResult, StepCommand } from '@rubato/model'
import type { StepWork } from '@rubato/policy'
import { ContextBook } from './context-book.ts'
import { stepWork } from './step-work.ts'

export interface EngineModel {
  /** A step begins: what it has to do. Its admissions count from now on. Valid until the next call. */
  begin(command: StepCommand): StepWork
  /** A command ends: what it yields; its times are nobody's yet. A throw is the engine's death. */
  apply(command: EngineCommand): EngineResult
}

/** A model around a function that executes one command on the caller's engine state. */
export function engineModel(apply: (command: EngineCommand) => EngineResult): EngineModel {
  const contexts = new ContextBook()
  return {
    begin(command) {
      contexts.begin(command)
      return stepWork(command, (handle) => contexts.contextTokens(handle))
    },
    apply(command) {
      const result = apply(command)
      if (command.kind === 'step') contexts.end(command, result)
      else if (command.kind === 'reset') contexts.reset()
      return result
    },
  }
}
