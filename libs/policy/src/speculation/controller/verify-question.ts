// What a policy is asked when it chooses the nodes to verify, and the parts of an answer that all policies share.
import { needOf, safetyOf } from './need.ts'
import { nodesNeeded, selectNodes } from '../select.ts'
import type { SpeculationDemand } from '../select.ts'
import type { SpeculatingSequence, Trial, VerifyPlan } from './snapshot.ts'

export interface VerifyQuestion {
  readonly sequences: readonly SpeculatingSequence[]
  readonly budgetTokens: number
  /** Predicted time of the step with so many nodes per sequence: verifying, its cells, and the drafting behind it. */
  readonly stepMs: (numNodes: Int32Array) => number
  /** Of one more node in a run that is there anyway. */
  readonly nodeMs: number
  /** Plain runs that were measured at this load. */
  readonly numPlainRuns: number
  /** A trial's trees are on hand. */
  readonly trial: Trial | null
  /** Steps with decodes so far. */
  readonly stepNumber: number
}

export const candidatesOf = ({ tree, remainingTokens }: SpeculatingSequence): number => (tree === null || remainingTokens < 2 ? 0 : tree.tokenIds.length)

const NO_CANDIDATES = new Float64Array(0)

/** Sum over all candidates of a sequence: what it emits at best in expectation. */
function mostTokensOf(sequence: SpeculatingSequence, maxNodes: number): number {
  const count = Math.min(maxNodes, candidatesOf(sequence))
  let total = 1
  for (let node = 0; node < count; node += 1) total += sequence.tree!.pathProbability[node]!
  return total
}

/** Needs at a predicted step time. When the budget cannot serve them all, those that take the most nodes go without. */
export function demandsAt({ sequences, budgetTokens }: VerifyQuestion, stepMs: number, maxNodes: number): SpeculationDemand[] {
  const demands = sequences.map((sequence): SpeculationDemand => {
    const { needTokens } = needOf(sequence, stepMs, mostTokensOf(sequence, maxNodes))
    return { needTokens, pathProbability: sequence.tree?.pathProbability ?? NO_CANDIDATES, numCandidates: candidatesOf(sequence), maxNodes, safety: safetyOf(sequence) }
  })
  return affordable(demands, budgetTokens - sequences.length)
}

function affordable(demands: SpeculationDemand[], budgetNodes: number): SpeculationDemand[] {
  const costs = demands.map(nodesNeeded)
  let total = costs.reduce((sum, cost) => sum + cost, 0)
  if (total <= budgetNodes) return demands
  const order = costs.map((_, index) => index).sort((a, b) => costs[b]! - costs[a]! || a - b)
  for (const index of order) {
    if (total <= budgetNodes) break
    total -= costs[index]!
    demands[index] = { ...demands[index]!, needTokens: 0 }
  }
  return demands
}

/** The least nodes that meet each need, within `numNodes`. */
export function neededNodes(demands: readonly SpeculationDemand[], numNodes: Int32Array): Int32Array {
  return numNodes.map((count, index) => Math.min(count, nodesNeeded(demands[index]!)))
}

/** AdaServe §4.3 with these demands. */
export function selected(demands: readonly SpeculationDemand[], limits: { readonly budgetTokens: number; readonly minProbability: number }): VerifyPlan {
  const { numNodes, expectedTokens } = selectNodes(demands, { ...limits, budgetTokens: Math.max(limits.budgetTokens, demands.length) })
  return { numNodes, expectedTokens, neededNodes: neededNodes(demands, numNodes) }
}

export function expectedOf(sequences: readonly SpeculatingSequence[], numNodes: Int32Array): Float64Array {
  return Float64Array.from(sequences, ({ tree }, index) => {
    let total = 1
    for (let node = 0; node < numNodes[index]!; node += 1) total += tree!.pathProbability[node]!
    return total
  })
}

/** Every sequence verifies its first `maxNodes` nodes, in order, for as long as the budget lasts. Nothing counts as needed. */
export function uniformPlan({ sequences, budgetTokens }: VerifyQuestion, maxNodes: number): VerifyPlan {
  let left = Math.max(0, budgetTokens - sequences.length)
  const numNodes = Int32Array.from(sequences, (sequence) => {
    const count = Math.min(left, maxNodes, candidatesOf(sequence))
    left -= count
    return count
  })
  return { numNodes, neededNodes: new Int32Array(sequences.length), expectedTokens: expectedOf(sequences, numNodes) }
}

/** All nodes that are likelier than this, at most so many per sequence, needs aside; null: the budget does not hold them. O(nodes). */
export function likelyNodes({ sequences, budgetTokens }: VerifyQuestion, maxNodes: number, minProbability: number): VerifyPlan | null {
  const plan = noNodes(sequences.length)
  let left = budgetTokens - sequences.length
  for (let index = 0; index < sequences.length && left >= 0; index += 1) {
    const sequence = sequences[index]!
    const most = Math.min(maxNodes, candidatesOf(sequence))
    let count = 0
    let expected = 1
    for (; count < most && sequence.tree!.pathProbability[count]! > minProbability; count += 1) expected += sequence.tree!.pathProbability[count]!
    plan.numNodes[index] = count
    plan.expectedTokens[index] = expected
    left -= count
  }
  return left < 0 ? null : plan
}

export function noNodes(numSequences: number): VerifyPlan {
  return { numNodes: new Int32Array(numSequences), neededNodes: new Int32Array(numSequences), expectedTokens: new Float64Array(numSequences).fill(1) }
}
