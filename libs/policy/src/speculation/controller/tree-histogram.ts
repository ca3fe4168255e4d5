// What recent trees would have brought, had nothing been grown from nodes below a path probability: it forecasts trees that are not
// drawn yet, at any price of drafting and verifying.
import { ROOT } from '../candidates.ts'
import type { CandidateTree } from '../candidates.ts'

/** Edges are path probabilities 2^(-e/3). */
export const NUM_EDGES = 25
const EDGES_PER_HALVING = 3

export function edgeProbability(edge: number): number {
  return 2 ** (-edge / EDGES_PER_HALVING)
}

/** The first edge that is no more than the probability; NUM_EDGES when there is none. */
function edgeBelow(probability: number): number {
  return probability <= 0 ? NUM_EDGES : Math.min(NUM_EDGES, Math.max(0, Math.ceil(-EDGES_PER_HALVING * Math.log2(probability) - 1e-9)))
}

/** A node less likely than this share of the least likely one that is grown from is not worth verifying. */
export const LEAST_SHARE = 0.35

/** Per sequence, when nothing is grown from nodes below an edge: entry e for edge e. */
export interface TreeCurve {
  /** Worth verifying, and the tokens expected of them, the guaranteed one not included. */
  readonly nodes: Float64Array
  readonly tokens: Float64Array
  /** Nodes that are grown from, the root not included, and levels. */
  readonly grown: Float64Array
  readonly levels: Float64Array
}

export function emptyCurve(): TreeCurve {
  return { nodes: new Float64Array(NUM_EDGES), tokens: new Float64Array(NUM_EDGES), grown: new Float64Array(NUM_EDGES), levels: new Float64Array(NUM_EDGES).fill(1) }
}

const COLUMNS = ['nodes', 'tokens', 'grown', 'levels'] as const

/** Trees that count, and trees' worth of the first guess. */
const MEMORY = 60
const GUESS_WEIGHT = 3

type DrawnTree = Pick<CandidateTree, 'parents' | 'pathProbability'>

export class TreeHistogram {
  /** Means per tree of what an edge adds to the one before it. */
  readonly #means: TreeCurve
  readonly #weights = new Float64Array(NUM_EDGES).fill(GUESS_WEIGHT)
  /** Of the tree being counted. */
  readonly #steps = emptyCurve()

  constructor(guess: DrawnTree) {
    this.#means = emptyCurve()
    countSteps(guess, this.#means)
  }

  /** A tree of which nothing was grown below `leastGrown`: there it says nothing. */
  observe(tree: DrawnTree, leastGrown: number): void {
    const steps = this.#steps
    countSteps(tree, steps)
    for (let edge = 0; edge < NUM_EDGES && edgeProbability(edge) >= leastGrown; edge += 1) {
      this.#weights[edge] = Math.min(MEMORY, this.#weights[edge]! + 1)
      for (const column of COLUMNS) this.#means[column][edge]! += (steps[column][edge]! - this.#means[column][edge]!) / this.#weights[edge]!
    }
  }

  /** Adds this curve, times `share`, to `curve`. */
  addTo(curve: TreeCurve, share: number): void {
    for (const column of COLUMNS) {
      let sum = 0
      for (let edge = 0; edge < NUM_EDGES; edge += 1) curve[column][edge]! += share * (sum += this.#means[column][edge]!)
    }
  }
}

/** What each edge adds to the one before it. Nodes come best first, so that the first of a level is its best. */
function countSteps({ parents, pathProbability }: DrawnTree, steps: TreeCurve): void {
  for (const column of COLUMNS) steps[column].fill(0)
  const add = (column: keyof TreeCurve, probability: number, value: number): void => {
    const edge = edgeBelow(probability)
    if (edge < NUM_EDGES) steps[column][edge]! += value
  }
  const depths = new Int32Array(parents.length)
  let deepest = 0
  for (let node = 0; node < parents.length; node += 1) {
    const parent = parents[node]!
    const probability = pathProbability[node]!
    depths[node] = parent === ROOT ? 1 : depths[parent]! + 1
    const parentProbability = parent === ROOT ? 1 : pathProbability[parent]!
    add('nodes', Math.min(parentProbability, probability / LEAST_SHARE), 1)
    add('tokens', Math.min(parentProbability, probability / LEAST_SHARE), probability)
    add('grown', probability, 1)
    if (depths[node]! > deepest) add('levels', probability, 1)
    deepest = Math.max(deepest, depths[node]!)
  }
}
