// What is learnt online of acceptance: per class of requests a calibration of the estimates, the mean acceptance by depth and rank and
// the spread of recent trees that forecast those not drawn yet, and how far estimates were from what came of them.
import { FRESH_CALIBRATION, FRESH_GREEDY_CALIBRATION, conditionalAcceptance } from '../calibration.ts'
import type { Calibration } from '../calibration.ts'
import { ROOT, reestimated } from '../candidates.ts'
import type { CandidateTree, DecidedNode, GrowthLimits } from '../candidates.ts'
import { CalibrationLearner } from './curve-learner.ts'
import { MAX_DEPTH, TreeHistogram } from './tree-histogram.ts'
import type { TreeCurve } from './tree-histogram.ts'

/** Greedy, low and high temperature. */
export const NUM_CLASSES = 3

export function acceptanceClass(temperature: number): number {
  return temperature === 0 ? 0 : temperature <= 0.7 ? 1 : 2
}

const MAX_RANK = 4
/** A mean begins at its prior with this weight, and forgets over about this many nodes. */
const PRIOR_WEIGHT = 6
const MEMORY_NODES = 400
const PRIOR_BY_RANK: readonly number[] = [0.65, 0.15, 0.07, 0.04]
/** Estimates and outcomes are summed over about this many trees. */
const RATIO_MEMORY = 200

class FadingMean {
  #sum = 0
  #weight = 0

  /** As if the prior had been seen a few times. */
  value(prior: number): number {
    return (this.#sum + PRIOR_WEIGHT * prior) / (this.#weight + PRIOR_WEIGHT)
  }

  add(value: number): void {
    const keep = this.#weight >= MEMORY_NODES ? 1 - 1 / MEMORY_NODES : 1
    this.#sum = this.#sum * keep + value
    this.#weight = this.#weight * keep + 1
  }
}

/** What is thought of trees before the first one: a chain. */
const GUESSED_CHAIN: Pick<CandidateTree, 'parents' | 'pathProbability'> = {
  parents: Array.from({ length: MAX_DEPTH }, (_, node) => (node === 0 ? ROOT : node - 1)),
  pathProbability: Float64Array.from({ length: MAX_DEPTH }, (_, node) => PRIOR_BY_RANK[0]! ** (node + 1)),
}

class ClassBook {
  readonly learner: CalibrationLearner
  readonly trees = new TreeHistogram(GUESSED_CHAIN)
  /** Of the best candidate by depth, the first entry for the root's children; of others by rank. */
  readonly byDepth = Array.from({ length: MAX_DEPTH }, () => new FadingMean())
  readonly byRank = PRIOR_BY_RANK.map(() => new FadingMean())
  expected = 0
  emitted = 0

  constructor(isGreedy: boolean) {
    this.learner = new CalibrationLearner(isGreedy ? FRESH_GREEDY_CALIBRATION : FRESH_CALIBRATION)
  }
}

export class AcceptanceBook {
  readonly #classes = Array.from({ length: NUM_CLASSES }, (_, index) => new ClassBook(index === acceptanceClass(0)))

  /** Evidence from one tree of a request of that class. */
  learn(classIndex: number, nodes: readonly DecidedNode[]): void {
    const book = this.#classes[classIndex]!
    book.learner.learn(nodes)
    for (const { rank, depth, accepted } of nodes) {
      const value = Number(accepted)
      if (rank === 0) book.byDepth[Math.min(depth, MAX_DEPTH) - 1]!.add(value)
      book.byRank[Math.min(rank, MAX_RANK - 1)]!.add(value)
    }
  }

  /** Counts a verified tree: what was expected of its nodes and how many tokens came, the guaranteed one included in both. */
  settle(classIndex: number, expectedTokens: number, emittedTokens: number): void {
    const book = this.#classes[classIndex]!
    const keep = 1 - 1 / RATIO_MEMORY
    book.expected = book.expected * keep + expectedTokens
    book.emitted = book.emitted * keep + emittedTokens
  }

  /** Emitted over expected tokens of verified trees; 1 without any. */
  calibrationRatio(classIndex: number): number {
    const { expected, emitted } = this.#classes[classIndex]!
    return expected === 0 ? 1 : emitted / expected
  }

  calibration(classIndex: number): Calibration {
    return this.#classes[classIndex]!.learner.calibration
  }

  /** The tree with this class's estimates, sorted anew. */
  estimated(classIndex: number, tree: CandidateTree): CandidateTree {
    const { calibration } = this.#classes[classIndex]!.learner
    return reestimated(tree, (rank, gap) => conditionalAcceptance(calibration, rank, gap))
  }

  /** A tree as `estimated` gave it, that was grown so far. */
  observeTree(classIndex: number, tree: CandidateTree, limits: GrowthLimits): void {
    this.#classes[classIndex]!.trees.observe(tree, limits)
  }

  /** Adds what recent trees of the class would bring, times `share`, to the curve. */
  addForecast(classIndex: number, curve: TreeCurve, share: number): void {
    this.#classes[classIndex]!.trees.addTo(curve, share)
  }

  /** Mean acceptance of a candidate of that rank whose parent, at `depth` - 1, was accepted. */
  meanAcceptance(classIndex: number, depth: number, rank: number): number {
    const { byDepth, byRank } = this.#classes[classIndex]!
    const place = Math.min(rank, MAX_RANK - 1)
    if (rank > 0) return byRank[place]!.value(PRIOR_BY_RANK[place]!)
    // A level that was not reached yet is expected to be like the one above it.
    let mean = PRIOR_BY_RANK[0]!
    for (let level = 0; level < Math.min(depth, MAX_DEPTH); level += 1) mean = byDepth[level]!.value(mean)
    return mean
  }
}
