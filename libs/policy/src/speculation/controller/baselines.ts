// The published policies, by which `auto` is judged: static lengths, n-gram lookup as TurboSpec runs it, SmartSpec, AdaServe.
import { goodputLength } from '../goodput.ts'
import type { SpeculationPolicy } from './policy.ts'
import { plainStep } from './shape-question.ts'
import type { ShapeQuestion } from './shape-question.ts'
import { OFF } from './snapshot.ts'
import type { ProposalShape } from './snapshot.ts'
import { candidatesOf, demandsAt, expectedOf, noNodes, selected, uniformPlan } from './verify-question.ts'
import type { VerifyQuestion } from './verify-question.ts'

/** Who proposes for a policy that leaves it open. `tree`: the draft model, several candidates per level. */
export type ProposerName = 'draft' | 'ngram' | 'suffix' | 'tree'

export const offPolicy: SpeculationPolicy = { lookup: 'never', idleSteps: 1, shape: () => OFF, verify: ({ sequences }) => noNodes(sequences.length) }

function shapeOf(proposer: ProposerName, length: number, canDraft: boolean): ProposalShape {
  if (length === 0) return OFF
  if (proposer === 'ngram' || proposer === 'suffix') return { kind: proposer, maxTokens: length }
  return canDraft ? { kind: 'draft', depth: length, width: proposer === 'tree' ? 2 : 1, leastProbability: 0, leastGrown: 0, promisedGoodput: null, trial: null } : OFF
}

const looksUp = (proposer: ProposerName): boolean => proposer === 'ngram' || proposer === 'suffix'

/** Always `length` tokens, at any load. */
export function staticPolicy(length: number, proposer: ProposerName): SpeculationPolicy {
  return {
    lookup: looksUp(proposer) ? 'as-shaped' : 'never',
    idleSteps: 1,
    shape: ({ canDraft }) => shapeOf(proposer, length, canDraft),
    verify: (question) => uniformPlan(question, proposer === 'tree' ? 2 * length : length),
  }
}

const NGRAM_TOKENS = 8
const NGRAM_MAX_SEQUENCES = 32

/** Prompt lookup: eight tokens for up to 32 sequences, then the length with the best goodput for those that found a match. */
export function ngramPolicy(proposer: 'ngram' | 'suffix'): SpeculationPolicy {
  return {
    lookup: 'as-shaped',
    idleSteps: 1,
    shape: ({ sequences }) => (sequences.length <= NGRAM_MAX_SEQUENCES ? { kind: proposer, maxTokens: NGRAM_TOKENS } : OFF),
    verify: bestUniformLength,
  }
}

/** The one length for all that have candidates: what was found is known, so its estimates are. */
function bestUniformLength(question: VerifyQuestion): ReturnType<SpeculationPolicy['verify']> {
  let best = noNodes(question.sequences.length)
  let bestGoodput = question.sequences.length / question.stepMs(best.numNodes)
  const most = question.sequences.reduce((count, sequence) => Math.max(count, candidatesOf(sequence)), 0)
  for (let length = 1; length <= most; length += 1) {
    const plan = uniformPlan(question, length)
    const goodput = plan.expectedTokens.reduce((sum, tokens) => sum + tokens, 0) / question.stepMs(plan.numNodes)
    if (goodput > bestGoodput) [best, bestGoodput] = [plan, goodput]
  }
  return best
}

const SMART_MAX_LENGTH = 8
const SMART_PROBE_STEPS = 200
/** The authors count plain decoding by this much more. */
const SMART_PLAIN_BIAS = 1.1

/** SmartSpec: one length for the batch, the one with the highest goodput; at full length once in 200 steps, to see all depths. */
export function smartSpecPolicy(proposer: ProposerName): SpeculationPolicy {
  if (looksUp(proposer)) return { ...ngramPolicy(proposer === 'suffix' ? 'suffix' : 'ngram') }
  const width = proposer === 'tree' ? 2 : 1
  return {
    lookup: 'never',
    idleSteps: 1,
    shape: (question) => {
      if (!question.canDraft) return OFF
      const isProbe = question.stepNumber % SMART_PROBE_STEPS === 0
      return shapeOf(proposer, isProbe ? SMART_MAX_LENGTH : smartLength(question, width), true)
    },
    verify: (question) => uniformPlan(question, SMART_MAX_LENGTH * width),
  }
}

function smartLength(question: ShapeQuestion, width: number): number {
  const { sequences, draftMs, draftTokens, verifyMs } = question
  const nodesOf = (length: number): number => (width === 1 ? length : 2 * length)
  return goodputLength({
    numSequences: sequences.length,
    numDrafting: sequences.length,
    maxLength: SMART_MAX_LENGTH,
    expectedTokens: (length) => draftTokens(length, width).at(-1)!,
    stepMs: (length) => (length === 0 ? plainStep(question).ms : draftMs(length, nodesOf(length)) + verifyMs(nodesOf(length))),
    plainBias: SMART_PLAIN_BIAS,
  }).length
}

export interface AdaServeOptions {
  /** B1 and B2: tokens of one verification and of one draft step. Half the token budget and AdaServe's 96 unless told. */
  readonly verifyTokens: number | null
  readonly draftTokens: number
  readonly minDepth: number
  readonly maxDepth: number
  readonly maxWidth: number
}

/** The artifact's, for Llama-3.1-70B. c1 = c2 = 0: the paper does not publish them. */
export const ADASERVE_DEFAULTS: AdaServeOptions = { verifyTokens: null, draftTokens: 96, minDepth: 4, maxDepth: 8, maxWidth: 3 }

/** AdaServe as published: never off, depth and width by load (eq. 8 and 9), and the whole budget spent. */
export function adaServePolicy({ verifyTokens, draftTokens, minDepth, maxDepth, maxWidth }: AdaServeOptions): SpeculationPolicy {
  const budgetOf = (budgetTokens: number): number => Math.min(budgetTokens, verifyTokens ?? budgetTokens)
  return {
    lookup: 'never',
    idleSteps: 1,
    shape: ({ sequences, canDraft, budgetTokens }) => {
      const count = sequences.length
      const depth = Math.min(maxDepth, Math.max(minDepth, Math.floor(budgetOf(budgetTokens) / count) - 1))
      const width = Math.min(maxWidth, Math.max(1, Math.floor(draftTokens / count)))
      return canDraft ? { kind: 'draft', depth, width, leastProbability: 0, leastGrown: 0, promisedGoodput: null, trial: null } : OFF
    },
    verify: (question) => {
      const count = question.sequences.length
      const budgetTokens = Math.max(count, budgetOf(question.budgetTokens))
      const maxNodes = Math.ceil((1.2 * budgetTokens) / count)
      // A(r) takes the time of a step as given: that of one that verifies everything, with the code's factor.
      const stepMs = 1.05 * question.stepMs(Int32Array.from(question.sequences, (sequence) => Math.min(maxNodes, candidatesOf(sequence))))
      const plan = selected(demandsAt(question, stepMs, maxNodes), { budgetTokens, minProbability: -1 })
      return { ...plan, expectedTokens: expectedOf(question.sequences, plan.numNodes) }
    },
  }
}
