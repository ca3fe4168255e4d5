// Predicted time of a step by the nodes that its sequences verify: one run per bucket of rows. Made once per question, since a policy
// asks for many choices of nodes.
import type { DecodeWork } from '../../cost-model/model.ts'
import { runPlace } from '../../cost-model/step.ts'
import type { RunCost } from './run-cost.ts'

/** Of one run, by its bucket of rows; grown as buckets occur. */
interface Run extends DecodeWork {
  batch: number
  nodes: number
  contextTokensSum: number
}

export class StepTime {
  readonly #runCost: RunCost
  readonly #contextTokens: Float64Array
  readonly #contextTokensSum: number
  readonly #otherMs: number
  readonly #slowness: number
  readonly #runs: Run[] = []

  /** `otherMs`: what the step takes beside its decodes. `slowness`: time that passes per millisecond of a run's cost. */
  constructor(sequences: readonly { readonly contextTokens: number }[], runCost: RunCost, { otherMs, slowness }: { readonly otherMs: number; readonly slowness: number }) {
    this.#runCost = runCost
    this.#contextTokens = Float64Array.from(sequences, ({ contextTokens }) => contextTokens)
    this.#contextTokensSum = this.#contextTokens.reduce((sum, tokens) => sum + tokens, 0)
    this.#otherMs = otherMs
    this.#slowness = slowness
  }

  get perNodeMs(): number {
    return this.#slowness * this.#runCost.perNodeMs
  }

  predictMs(numNodes: Int32Array): number {
    for (const run of this.#runs) run.batch = run.nodes = run.contextTokensSum = 0
    for (let index = 0; index < numNodes.length; index += 1) {
      const nodes = numNodes[index]!
      const place = runPlace(1 + nodes)
      while (this.#runs.length <= place) this.#runs.push({ batch: 0, nodes: 0, contextTokensSum: 0 })
      const run = this.#runs[place]!
      run.batch += 1
      run.nodes += nodes
      run.contextTokensSum += this.#contextTokens[index]!
    }
    return this.#otherMs + this.#slowness * this.#runCost.predictMs(this.#runs)
  }

  /** With as many nodes for every sequence, on the average. */
  predictUniformMs(nodes: number): number {
    const batch = this.#contextTokens.length
    return this.#otherMs + this.#slowness * this.#runCost.predictMs([{ batch, nodes: nodes * batch, contextTokensSum: this.#contextTokensSum }])
  }
}
