// Which draft nodes are verified: AdaServe (EuroSys'26) §4.3, SLO-customised selection first, throughput-optimised selection
// with what is left. Rulings on the paper's defects: the root counts as an accepted token, roots are charged to the budget,
// loops stop at an empty budget, requests go in descending order of need.
//
// 1. Roots plus selected nodes never exceed the budget.
// 2. A request's selected nodes are a prefix of its candidates, which are sorted so that every prefix is closed under parents.
// 3. Phase 1 takes the fewest nodes that meet a need; phase 2 never takes a node before one that is more likely.

/** One request that decodes in this step. */
export interface SpeculationDemand {
  /** Tokens that it must emit in this step to keep its target, at most what its depth allows; 0: it is ahead or has none. */
  readonly needTokens: number
  /** Estimated probability that the target accepts the path to each candidate; non-increasing, parents before children. */
  readonly pathProbability: Float64Array
  /** Candidates in use: the first of pathProbability. */
  readonly numCandidates: number
  /** Hard cap on its nodes. */
  readonly maxNodes: number
  /** Standard deviations of what its nodes bring that must be to spare above the need. @default 0 */
  readonly safety?: number
}

export interface SelectionLimits {
  /** Tokens verified in this step, roots included. */
  readonly budgetTokens: number
  /** Phase 2 stops at nodes that are less likely than this: they would cost more time than they bring. */
  readonly minProbability: number
}

/** How many of each request's candidates are verified, and what is expected of them. */
export interface Selection {
  readonly numNodes: Int32Array
  /** Expected tokens per request, the guaranteed one included. */
  readonly expectedTokens: Float64Array
  readonly totalNodes: number
  /** Nodes that phase 1 chose. */
  readonly neededNodes: number
}

/** The least nodes that meet its need, or all that it may have. */
export function nodesNeeded({ maxNodes, needTokens, numCandidates, pathProbability, safety = 0 }: SpeculationDemand): number {
  if (needTokens <= 1) return 0
  const most = Math.min(numCandidates, maxNodes)
  let expected = 1
  let variance = 0
  let count = 0
  for (; count < most && expected - safety * Math.sqrt(variance) < needTokens; count += 1) {
    const probability = pathProbability[count]!
    expected += probability
    variance += probability * (1 - probability)
  }
  return count
}

/**
 * Throws RangeError when the budget does not even hold the roots.
 * O(requests log requests + nodes log requests); nothing is allocated per node.
 */
export function selectNodes(demands: readonly SpeculationDemand[], { budgetTokens, minProbability }: SelectionLimits): Selection {
  let left = budgetTokens - demands.length
  if (left < 0) throw new RangeError(`a budget of ${budgetTokens} tokens does not hold ${demands.length} roots`)
  const numNodes = new Int32Array(demands.length)
  const expectedTokens = new Float64Array(demands.length).fill(1)
  const take = (index: number): void => {
    expectedTokens[index]! += demands[index]!.pathProbability[numNodes[index]!++]!
    left -= 1
  }
  for (const index of byNeed(demands)) for (let needed = nodesNeeded(demands[index]!); left > 0 && needed > 0; needed -= 1) take(index)
  const neededNodes = budgetTokens - demands.length - left
  if (numWorth(demands, numNodes, minProbability, left) <= left) {
    for (let index = 0; index < demands.length; index += 1) while (isWorth(demands[index]!, numNodes[index]!, minProbability)) take(index)
    return { numNodes, expectedTokens, totalNodes: budgetTokens - demands.length - left, neededNodes }
  }
  const heads = new HeadHeap(demands, numNodes)
  for (let index = heads.best(); left > 0 && index !== null && heads.probability(index) > minProbability; index = heads.best()) {
    take(index)
    heads.advance()
  }
  return { numNodes, expectedTokens, totalNodes: budgetTokens - demands.length - left, neededNodes }
}

function isWorth(demand: SpeculationDemand, numTaken: number, minProbability: number): boolean {
  return hasNext(demand, numTaken) && demand.pathProbability[numTaken]! > minProbability
}

/** Nodes that phase 2 would take of an endless budget, counted until there are more than `most`. */
function numWorth(demands: readonly SpeculationDemand[], numTaken: Int32Array, minProbability: number, most: number): number {
  let count = 0
  for (let index = 0; index < demands.length && count <= most; index += 1) {
    for (let node = numTaken[index]!; isWorth(demands[index]!, node, minProbability); node += 1) count += 1
  }
  return count
}

/** Indices of the requests in need, the neediest first. */
function byNeed(demands: readonly SpeculationDemand[]): readonly number[] {
  const indices: number[] = []
  for (let index = 0; index < demands.length; index += 1) if (demands[index]!.needTokens > 1) indices.push(index)
  return indices.sort((a, b) => demands[b]!.needTokens - demands[a]!.needTokens || a - b)
}

function hasNext({ numCandidates, maxNodes }: SpeculationDemand, numTaken: number): boolean {
  return numTaken < numCandidates && numTaken < maxNodes
}

/** Requests by the probability of their next candidate: a binary heap with one entry per request. */
class HeadHeap {
  readonly #demands: readonly SpeculationDemand[]
  readonly #numNodes: Int32Array
  readonly #heap: number[] = []

  constructor(demands: readonly SpeculationDemand[], numNodes: Int32Array) {
    this.#demands = demands
    this.#numNodes = numNodes
    for (let index = 0; index < demands.length; index += 1) if (hasNext(demands[index]!, numNodes[index]!)) this.#heap.push(index)
    for (let place = (this.#heap.length >> 1) - 1; place >= 0; place -= 1) this.#sink(place)
  }

  /** The request whose next candidate is the most likely; null when nobody has one. */
  best(): number | null {
    return this.#heap[0] ?? null
  }

  probability(index: number): number {
    return this.#demands[index]!.pathProbability[this.#numNodes[index]!]!
  }

  /** The best request's next candidate was taken. */
  advance(): void {
    const index = this.#heap[0]!
    if (!hasNext(this.#demands[index]!, this.#numNodes[index]!)) {
      const last = this.#heap.pop()!
      if (this.#heap.length === 0) return
      this.#heap[0] = last
    }
    this.#sink(0)
  }

  #sink(from: number): void {
    const heap = this.#heap
    const moving = heap[from]!
    let place = from
    for (;;) {
      let child = 2 * place + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && this.#precedes(heap[child + 1]!, heap[child]!)) child += 1
      if (!this.#precedes(heap[child]!, moving)) break
      heap[place] = heap[child]!
      place = child
    }
    heap[place] = moving
  }

  #precedes(a: number, b: number): boolean {
    const difference = this.probability(a) - this.probability(b)
    return difference === 0 ? a < b : difference > 0
  }
}
