// Which candidates `auto` verifies: least deficit against targets, then most tokens per second. One ledger of tokens for roots and
// nodes, a step time that depends on what is chosen (a fixed point that AdaServe skips), and nothing that costs more than it brings.
import type { VerifyPlan } from './snapshot.ts'
import { needOf } from './need.ts'
import { candidatesOf, demandsAt, expectedOf, likelyNodes, noNodes, selected, uniformPlan } from './verify-question.ts'
import type { VerifyQuestion } from './verify-question.ts'

/** Trials of sizes verify half to twice as many nodes as seem best, and of at least so many sizes. */
const LEAST_TRIAL_SIZES = 3
/** Most nodes per sequence, so that all trees are one run; and further such runs. */
const RUN_NODES: readonly number[] = [7, 31]
/** Shares of the linear price of a node at which trees are cut: no cost is quite linear. */
const PRICE_SHARES: readonly number[] = [1, 0.6, 1.6]
/** One step in so many is a plain one: what it costs must stay known. More often where verifying gains no more than this, and until it was measured so often at this load. */
const PLAIN_STEPS = 256
const CLOSE_RATIO = 1.25
const CLOSE_PLAIN_STEPS = 48
const KNOWN_PLAIN_RUNS = 6
const NEW_PLAIN_STEPS = 6

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
      for (const variant of [plan, withAll(question, plan, place === 0 ? 1 : RUN_NODES[place - 1]! + 1)]) {
        if (variant === null) continue
        const rated = rate(question, variant)
        if (isBetter(rated, best)) best = rated
      }
    }
  }
  if (trial?.verifies === 'sizes') return uniformPlan(question, trialSize(question, best.plan))
  const isPlainDue = trial === null && best.deficit >= plain.deficit && stepNumber % plainSteps(question, best.goodput / plain.goodput) === 1
  return isPlainDue ? plain.plan : best.plan
}

function plainSteps({ numPlainRuns }: VerifyQuestion, gainRatio: number): number {
  if (numPlainRuns < KNOWN_PLAIN_RUNS) return NEW_PLAIN_STEPS
  return gainRatio < CLOSE_RATIO ? CLOSE_PLAIN_STEPS : PLAIN_STEPS
}

function trialSize({ sequences, stepNumber }: VerifyQuestion, { numNodes }: VerifyPlan): number {
  const mean = numNodes.reduce((sum, count) => sum + count, 0) / sequences.length
  return Math.max(1, Math.floor(mean / 2)) + ((7 * stepNumber) % Math.max(LEAST_TRIAL_SIZES, Math.ceil(1.5 * mean)))
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

/** The same plan with at least so many nodes for all that have them, so that there is no smaller run beside that of the trees; null: nothing changes. */
function withAll({ budgetTokens, sequences }: VerifyQuestion, plan: VerifyPlan, leastNodes: number): VerifyPlan | null {
  let left = budgetTokens - sequences.length - plan.numNodes.reduce((sum, count) => sum + count, 0)
  let changed = false
  const numNodes = plan.numNodes.map((count, index) => {
    const more = Math.min(leastNodes, candidatesOf(sequences[index]!)) - count
    if (more <= 0 || more > left) return count
    left -= more
    changed = true
    return count + more
  })
  return changed ? { numNodes, neededNodes: plan.neededNodes, expectedTokens: expectedOf(sequences, numNodes) } : null
}
