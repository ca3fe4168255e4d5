// Which candidates `auto` verifies: least deficit against targets, then most tokens per second. One ledger of tokens for roots and
// nodes, a step time that depends on what is chosen (a fixed point that AdaServe skips), and nothing that costs more than it brings.
import type { VerifyPlan } from './snapshot.ts'
import { needOf } from './need.ts'
import { candidatesOf, demandsAt, expectedOf, likelyNodes, noNodes, selected, uniformPlan } from './verify-question.ts'
import type { VerifyQuestion } from './verify-question.ts'

/** Trials of sizes verify 1 node to about twice as many as seem best, and this many where nothing seems to pay. */
const LEAST_TRIAL_SIZES = 5
/** Most nodes per sequence, so that all trees are one run; and further such runs. */
const RUN_NODES: readonly number[] = [7, 31]
/** Shares of the linear price of a node at which trees are cut: no cost is quite linear. */
const PRICE_SHARES: readonly number[] = [1, 0.6, 1.6]
/** One step in so many is a plain one: what it costs must stay known. More often where verifying gains no more than this. */
const PLAIN_STEPS = 160
const CLOSE_RATIO = 1.25
const CLOSE_PLAIN_STEPS = 48

interface Rated {
  readonly plan: VerifyPlan
  readonly deficit: number
  /** Tokens per millisecond. */
  readonly goodput: number
}

/** Every further run pays its fixed cost again, so that plans are of one run for all trees, and best of one for all sequences. */
export function chooseNodes(question: VerifyQuestion): VerifyPlan {
  const { budgetTokens, sequences, stepNumber, trial } = question
  const plain = rate(question, noNodes(sequences.length))
  let best = trial?.verifies === 'best' ? { ...plain, goodput: 0 } : plain
  const most = sequences.reduce((count, sequence) => Math.max(count, candidatesOf(sequence)), 0)
  const fair = Math.ceil((1.2 * budgetTokens) / Math.max(1, sequences.length))
  for (const [place, runNodes] of RUN_NODES.entries()) {
    if (place > 0 && most <= RUN_NODES[place - 1]!) break
    for (const share of PRICE_SHARES) {
      const plan = cut(question, Math.min(runNodes, fair), Math.max(best.goodput, plain.goodput), share)
      for (const variant of [plan, withAll(question, plan)]) {
        if (variant === null) continue
        const rated = rate(question, variant)
        if (isBetter(rated, best)) best = rated
      }
    }
  }
  if (trial?.verifies === 'sizes') return uniformPlan(question, trialSize(question, best.plan))
  const every = best.goodput < CLOSE_RATIO * plain.goodput ? CLOSE_PLAIN_STEPS : PLAIN_STEPS
  return trial === null && best.deficit >= plain.deficit && stepNumber % every === 0 ? plain.plan : best.plan
}

function trialSize({ sequences, stepNumber }: VerifyQuestion, { numNodes }: VerifyPlan): number {
  const mean = numNodes.reduce((sum, count) => sum + count, 0) / sequences.length
  return 1 + ((7 * stepNumber) % Math.max(LEAST_TRIAL_SIZES, Math.ceil(2 * mean)))
}

function rate(question: VerifyQuestion, plan: VerifyPlan): Rated {
  const ms = question.stepMs(plan.numNodes)
  let deficit = 0
  let tokens = 0
  for (let index = 0; index < question.sequences.length; index += 1) {
    const sequence = question.sequences[index]!
    const expected = plan.expectedTokens[index]!
    tokens += expected
    if (sequence.tpotMs !== null) deficit += Math.max(0, needOf(sequence, ms, expected + candidatesOf(sequence) - plan.numNodes[index]!).needTokens - expected)
  }
  return { plan, deficit, goodput: tokens / ms }
}

function isBetter(a: Rated, b: Rated): boolean {
  return a.deficit < b.deficit - 1e-6 || (a.deficit <= b.deficit + 1e-6 && a.goodput > b.goodput)
}

/** Trees cut where a node costs more than it brings at the goodput of a plan known so far. Needs depend on the step's time, which depends on what is chosen. */
function cut(question: VerifyQuestion, maxNodes: number, goodput: number, priceShare: number): VerifyPlan {
  const { budgetTokens, nodeMs, sequences } = question
  const minProbability = priceShare * goodput * nodeMs
  const needless = sequences.some(({ tpotMs }) => tpotMs !== null) ? null : likelyNodes(question, maxNodes, minProbability)
  if (needless !== null) return needless
  const widest = Int32Array.from(sequences, (sequence) => Math.min(maxNodes, candidatesOf(sequence)))
  const { numNodes } = selected(demandsAt(question, question.stepMs(widest), maxNodes), { budgetTokens, minProbability })
  return selected(demandsAt(question, question.stepMs(numNodes), maxNodes), { budgetTokens, minProbability })
}

/** The same plan with a node for those that have none, so that there is no plain run beside that of the trees; null: nothing changes. */
function withAll({ budgetTokens, sequences }: VerifyQuestion, plan: VerifyPlan): VerifyPlan | null {
  let left = budgetTokens - sequences.length - plan.numNodes.reduce((sum, count) => sum + count, 0)
  let changed = false
  const numNodes = plan.numNodes.map((count, index) => {
    if (count > 0 || left === 0 || candidatesOf(sequences[index]!) === 0) return count
    left -= 1
    changed = true
    return 1
  })
  return changed ? { numNodes, neededNodes: plan.neededNodes, expectedTokens: expectedOf(sequences, numNodes) } : null
}
