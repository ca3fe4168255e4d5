// What engines are asked to do, seen from outside: whether a step stays within its budget, and who has work under way.
import type { StepCommand } from '@rubato/model'
import type { EngineEffect } from '@rubato/instance'
import type { Transition } from './transition.ts'
import type { Verdict } from './violation.ts'

export class WorkCheck {
  readonly #verdict: Verdict
  readonly #budgets: ReadonlyMap<string, number>
  /** Handles of each engine, by the address of its instance's present life. */
  readonly #live = new Map<string, { readonly address: string; readonly handles: Set<number> }>()

  constructor(budgets: ReadonlyMap<string, number>, verdict: Verdict) {
    this.#budgets = budgets
    this.#verdict = verdict
  }

  /** Sequences that the engine of this process holds. */
  numLive(process: string): number {
    return this.#live.get(process)?.handles.size ?? 0
  }

  instance({ process, address, incoming, effects }: Transition): void {
    if (incoming === null) this.#live.set(process, { address, handles: new Set() })
    for (const effect of effects) {
      if (effect.kind !== 'engine') continue
      const { command } = effect as EngineEffect
      if (command.kind === 'step') this.#step(process, address, command)
    }
  }

  #step(process: string, address: string, { stepId, admit, release, cells, decodes }: StepCommand): void {
    const { handles } = this.#live.get(process)!
    for (const { handle } of admit) handles.add(handle)
    for (const handle of release) handles.delete(handle)
    let numTokens = 0
    for (const { count } of cells) numTokens += count
    for (const { tree } of decodes) numTokens += 1 + (tree?.tokenIds.length ?? 0)
    const budget = this.#budgets.get(process)!
    if (numTokens > budget) this.#verdict.fail('budget', `${process}: step ${stepId} has ${numTokens} tokens, its budget is ${budget}`, [address])
  }
}
