// What runs of decodes cost: begins as the profile says and follows the steps that were measured, since a start-up profile is short and
// taken on a machine that may be busy. A run with trees is not a plain run and some nodes more: it takes other kernels, so that both
// have costs of their own.
import type { DecodeWork, StepCostModel } from '../../cost-model/model.ts'
import { LearntCost } from './learnt-cost.ts'
import type { CostTerm } from './learnt-cost.ts'

const PLAIN_RUN = 0
const PLAIN_SEQUENCE = 1
const TREE_RUN = 2
const TREE_SEQUENCE = 3
const NODE = 4
const CONTEXT_TOKEN = 5
const NUM_FEATURES = 6

/** How far the profile may be off: of what it says, and of a plain decode of one sequence, in the order above; and the least that each costs. */
const PROFILE_DOUBT = 0.5
const DOUBTS: readonly number[] = [0.1, 0.01, 0.1, 0.02, 0.02, 1e-4]
const LEAST: readonly number[] = [0.02, 0.003, 0.02, 0.003, 0.003, 0]
/** A node is a row as a sequence's last token is one: a profile that saw no verification, or too few to tell, is not believed that it is next to free. */
const NODE_PER_SEQUENCE = 0.5

/** Runs of 1, 2-3, 4-7, ... sequences with 0, 1, 2-3, 4-7, ... nodes each are of a kind: no cost is quite linear. */
const NUM_KINDS = 8
/** A kind's residual follows the newest measurement by this much, the first ones from 1 and not at once. */
const RESIDUAL_WEIGHT = 0.05
const GUESS_WEIGHT = 2

export class RunCost {
  readonly #cost: LearntCost
  readonly #features = new Float64Array(NUM_FEATURES)
  /** Measured over linear cost, and measurements, by kind. */
  readonly #residuals = new Float64Array(NUM_KINDS * NUM_KINDS).fill(1)
  readonly #numSeen = new Float64Array(NUM_KINDS * NUM_KINDS)

  constructor({ decode, correctionRatio }: StepCostModel) {
    const { fixedMs, perSequenceMs, perNodeMs, perContextTokenMs } = decode
    const plainMs = Math.max(1e-6, fixedMs + perSequenceMs)
    const guesses = [fixedMs, perSequenceMs, fixedMs, perSequenceMs, Math.max(perNodeMs, NODE_PER_SEQUENCE * perSequenceMs), perContextTokenMs]
    this.#cost = new LearntCost(guesses.map((guess, place): CostTerm => ({ guess: guess * correctionRatio, doubt: (PROFILE_DOUBT * guess + DOUBTS[place]! * plainMs) * correctionRatio, least: LEAST[place]! * plainMs * correctionRatio })))
  }

  /** Of one more node in a run that is there anyway. */
  get perNodeMs(): number {
    return this.#cost.costOf(NODE)
  }

  /** Runs like this one that were measured by themselves. */
  numMeasured(run: DecodeWork): number {
    return this.#numSeen[kindOf(run)]!
  }

  /** Several runs, one after the other; those without sequences are none. No nodes: a plain run. */
  predictMs(runs: readonly DecodeWork[]): number {
    let totalMs = 0
    for (let place = 0; place < runs.length; place += 1) {
      const run = runs[place]!
      if (run.batch > 0) totalMs += this.#residuals[kindOf(run)]! * this.#cost.predict(add(this.#features.fill(0), run))
    }
    return totalMs
  }

  /** A step of nothing but these runs took this long. */
  observe(runs: readonly DecodeWork[], measuredMs: number): void {
    const features = this.#features.fill(0)
    for (const run of runs) add(features, run)
    this.#cost.observe(features, measuredMs)
    if (runs.length === 1 && measuredMs > 0) this.#correct(kindOf(runs[0]!), measuredMs / this.#cost.predict(features))
  }

  #correct(kind: number, residual: number): void {
    this.#numSeen[kind]! += 1
    const weight = Math.max(RESIDUAL_WEIGHT, 1 / (GUESS_WEIGHT + this.#numSeen[kind]!))
    const clipped = Math.min(1 + MAX_RESIDUAL, Math.max(1 - MAX_RESIDUAL, residual))
    this.#residuals[kind]! += weight * (clipped - this.#residuals[kind]!)
  }
}

const MAX_RESIDUAL = 0.4

function kindOf({ batch, nodes }: DecodeWork): number {
  const load = Math.min(NUM_KINDS - 1, 31 - Math.clz32(batch))
  return load * NUM_KINDS + Math.min(NUM_KINDS - 1, 32 - Math.clz32(Math.round(nodes / batch)))
}

function add(features: Float64Array, { batch, contextTokensSum, nodes }: DecodeWork): Float64Array {
  features[nodes === 0 ? PLAIN_RUN : TREE_RUN]! += 1
  features[nodes === 0 ? PLAIN_SEQUENCE : TREE_SEQUENCE]! += batch
  features[NODE]! += nodes
  features[CONTEXT_TOKEN]! += contextTokensSum
  return features
}
