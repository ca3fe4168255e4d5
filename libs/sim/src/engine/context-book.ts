// How long each live sequence of a simulated engine is, read off the commands and results that pass by: what a decode
// costs depends on it.
import type { EngineResult, StepCommand } from '@rubato/model'

export class ContextBook {
  readonly #tokens = new Map<number, number>()

  /** Tokens of a live sequence, prompt and emitted; 0 for an unknown handle. */
  contextTokens(handle: number): number {
    return this.#tokens.get(handle) ?? 0
  }

  /** A step begins: its admissions count from now on. */
  begin(command: StepCommand): void {
    for (const { handle, promptIds, emittedIds } of command.admit) this.#tokens.set(handle, promptIds.length + emittedIds.length)
  }

  /** The engine forgot every sequence. */
  reset(): void {
    this.#tokens.clear()
  }

  /** A step ended: its tokens count, and what it released is forgotten. */
  end(command: StepCommand, result: EngineResult): void {
    if (result.kind !== 'step') return
    for (const { handle, tokenIds } of result.tokens) this.#tokens.set(handle, this.contextTokens(handle) + tokenIds.length)
    for (const handle of command.release) this.#tokens.delete(handle)
  }
}
