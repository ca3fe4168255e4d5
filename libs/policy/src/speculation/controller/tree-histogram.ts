// What recent trees would have brought, had nothing been grown from nodes below a path probability, nor beyond a depth: it forecasts
// trees that are not drawn yet, at any price of drafting and verifying.
import { ROOT } from '../candidates.ts'
import type { CandidateTree, GrowthLimits } from '../candidates.ts'

/** Edges are path probabilities 2^(-e/3). */
export const NUM_EDGES = 25
const EDGES_PER_HALVING = 3
export const MAX_DEPTH = 16

export function edgeProbability(edge: number): number {
  return 2 ** (-edge / EDGES_PER_HALVING)
}

/** The first edge that is no more than the probability; NUM_EDGES when there is none. */
function edgeBelow(probability: number): number {
  return probability <= 0 ? NUM_EDGES : Math.min(NUM_EDGES, Math.max(0, Math.ceil(-EDGES_PER_HALVING * Math.log2(probability) - 1e-9)))
}

/** A node less likely than this share of the least likely one that is grown from is not worth verifying. */
export const LEAST_SHARE = 0.35

/** Per sequence and level, when nothing is grown from nodes below an edge: `placeOf(depth, edge)`. */
export interface TreeCurve {
  /** Nodes of the level that are worth verifying, and the tokens expected of them. */
  readonly nodes: Float64Array
  readonly tokens: Float64Array
  /** Nodes of the level that are grown from, and the share of trees with any: those that have a level below it. */
  readonly grown: Float64Array
  readonly deeper: Float64Array
}

/** Of a level's entry; depth 1 is that of the root's children. */
export function placeOf(depth: number, edge: number): number {
  return (depth - 1) * NUM_EDGES + edge
}

export function emptyCurve(): TreeCurve {
  const column = (): Float64Array => new Float64Array(MAX_DEPTH * NUM_EDGES)
  return { nodes: column(), tokens: column(), grown: column(), deeper: column() }
}

const COLUMNS = ['nodes', 'tokens', 'grown', 'deeper'] as const

/** Trees that count, and trees' worth of the first guess. */
const MEMORY = 60
const GUESS_WEIGHT = 3

type DrawnTree = Pick<CandidateTree, 'parents' | 'pathProbability'>

export class TreeHistogram {
  /** Means per tree of what an edge adds to the one before it. */
  readonly #means: TreeCurve
  readonly #weights = new Float64Array(MAX_DEPTH * NUM_EDGES).fill(GUESS_WEIGHT)
  /** Of the tree being counted. */
  readonly #steps = emptyCurve()

  constructor(guess: DrawnTree) {
    this.#means = emptyCurve()
    countSteps(guess, this.#means)
  }

  /** Beyond its limits a tree says nothing. */
  observe(tree: DrawnTree, { leastGrown, depth }: GrowthLimits): void {
    const steps = this.#steps
    countSteps(tree, steps)
    for (let level = 1; level <= Math.min(depth, MAX_DEPTH); level += 1) {
      for (let edge = 0; edge < NUM_EDGES && edgeProbability(edge) >= leastGrown; edge += 1) {
        const place = placeOf(level, edge)
        this.#weights[place] = Math.min(MEMORY, this.#weights[place]! + 1)
        for (const column of COLUMNS) this.#means[column][place]! += (steps[column][place]! - this.#means[column][place]!) / this.#weights[place]!
      }
    }
  }

  /** Adds this curve, times `share`, to `curve`. */
  addTo(curve: TreeCurve, share: number): void {
    for (const column of COLUMNS) {
      for (let level = 1; level <= MAX_DEPTH; level += 1) {
        let sum = 0
        for (let place = placeOf(level, 0); place < placeOf(level + 1, 0); place += 1) curve[column][place]! += share * (sum += this.#means[column][place]!)
      }
    }
  }
}

/** What each edge adds to the one before it. Nodes come best first, so that the first of a level is its best. */
function countSteps({ parents, pathProbability }: DrawnTree, steps: TreeCurve): void {
  for (const column of COLUMNS) steps[column].fill(0)
  const depths = new Int32Array(parents.length)
  let deepest = 0
  for (let node = 0; node < parents.length; node += 1) {
    const parent = parents[node]!
    const probability = pathProbability[node]!
    const depth = (parent === ROOT ? 0 : depths[parent]!) + 1
    depths[node] = depth
    if (depth > MAX_DEPTH) continue
    const worthEdge = edgeBelow(Math.min(parent === ROOT ? 1 : pathProbability[parent]!, probability / LEAST_SHARE))
    if (worthEdge < NUM_EDGES) {
      steps.nodes[placeOf(depth, worthEdge)]! += 1
      steps.tokens[placeOf(depth, worthEdge)]! += probability
    }
    const grownEdge = edgeBelow(probability)
    if (grownEdge < NUM_EDGES) {
      steps.grown[placeOf(depth, grownEdge)]! += 1
      if (depth > deepest) steps.deeper[placeOf(depth, grownEdge)]! += 1
    }
    deepest = Math.max(deepest, depth)
  }
}
