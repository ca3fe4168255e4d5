// An engine lent to one instance of several that take turns on it: passes commands on and counts what steps did. Closing it
// leaves the engine behind it open.
import type { Engine, EngineCommand, EngineResult, EngineShape, StepCommand, StepResult } from '@rubato/model'

/** Sums since it was lent. */
export interface EngineCounts {
  tokens: number
  engineCpuMs: number
  steps: number
  verified: number
  nodes: number
  verifiedTokens: number
}

export class LentEngine implements Engine {
  readonly shape: EngineShape
  readonly closed: Promise<Error | null>
  readonly counts: EngineCounts = { tokens: 0, engineCpuMs: 0, steps: 0, verified: 0, nodes: 0, verifiedTokens: 0 }
  readonly #inner: Engine
  readonly #close: () => void
  readonly #held = new Set<number>()
  #onIdle: (() => void) | null = null

  constructor(inner: Engine) {
    this.#inner = inner
    this.shape = inner.shape
    const { promise, resolve } = Promise.withResolvers<null>()
    this.closed = Promise.race([promise, inner.closed])
    this.#close = () => resolve(null)
  }

  close(): Promise<void> {
    this.#close()
    return Promise.resolve()
  }

  /** Resolves once every sequence that was admitted is released. */
  async idle(): Promise<void> {
    if (this.#held.size === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onIdle = resolve
    await promise
  }

  async execute(command: EngineCommand): Promise<EngineResult> {
    const result = await this.#inner.execute(command)
    if (command.kind === 'step' && result.kind === 'step') this.#count(command, result)
    return result
  }

  #count(command: StepCommand, { cpuMs, drafts, tokens }: StepResult): void {
    const trees = new Map<number, number>()
    for (const { handle, tree } of command.decodes) if (tree !== null) trees.set(handle, tree.tokenIds.length)
    this.counts.steps += 1
    this.counts.engineCpuMs += cpuMs + (drafts?.draftCpuMs ?? 0)
    for (const { handle, tokenIds } of tokens) {
      this.counts.tokens += tokenIds.length
      const nodes = trees.get(handle)
      if (nodes === undefined) continue
      this.counts.verified += 1
      this.counts.nodes += nodes
      this.counts.verifiedTokens += tokenIds.length
    }
    for (const { handle } of command.admit) this.#held.add(handle)
    for (const handle of command.release) this.#held.delete(handle)
    if (this.#held.size === 0) this.#onIdle?.()
  }
}
