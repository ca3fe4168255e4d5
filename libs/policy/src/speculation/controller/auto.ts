// The policy `auto`: least deficit against targets first, then most tokens per second. What is drafted is asked here, what is verified
// in auto-verify.ts, what a draft would bring in auto-forecast.ts.
//
//   off -> on, on -> off   as drafting promises, beside plain decoding
//   off -> look -> off     at long intervals: full drafts for two sequences, compared with what is emitted
//   off -> best -> off|on  where drafting and not drafting are close: some steps as if it paid
//   on -> sizes -> on      now and then one step with larger trees, verified in some size or other
//
// 1. Nothing is grown from a node that is too unlikely to pay, nor beyond the depth that pays for the batch: within that the text decides.
// 2. Off is off: until the load changes nothing is asked for but looks.
// 3. To draft must promise more than plain decoding by a margin, and more of it to begin than to go on.
import { bestDraft, promises } from './auto-forecast.ts'
import { chooseNodes } from './auto-verify.ts'
import type { SpeculationPolicy } from './policy.ts'
import { goodputOf, plainStep } from './shape-question.ts'
import type { ShapeQuestion } from './shape-question.ts'
import { OFF } from './snapshot.ts'
import type { DraftShape, ProposalShape, Trial } from './snapshot.ts'

export interface AutoOptions {
  readonly maxDepth: number
  readonly maxWidth: number
}

export const AUTO_DEFAULTS: AutoOptions = { maxDepth: 12, maxWidth: 3 }

/** Goodput that drafting must promise, of plain decoding's: to begin, and to go on. */
const BEGIN_RATIO = 1.02
const KEEP_RATIO = 1
/** Steps between two questions at the same load: while drafting, and while off. */
const SHAPE_STEPS = 4
const IDLE_STEPS = 8
/** While off: steps between two looks. Where drafts promise less than the first ratio they are this many times rarer; above the second they are `best`, and last. */
const LOOK_STEPS = 96
const HOPELESS_RATIO = 0.75
const HOPELESS_TIMES = 4
const CLOSE_RATIO = 0.9
const BEST_STEPS = 12
const LOOKED_SEQUENCES = 2
/** While drafting: steps between two trials of sizes, and how much further their trees are grown; deeper still where few sequences wait for it. */
const SIZES_STEPS = 64
const SIZES_GROWN_SHARE = 0.4
const SIZES_LEVELS = 2
type Growth = Pick<DraftShape, 'depth' | 'leastProbability' | 'leastGrown' | 'promisedGoodput'>

/** The first steps draft and verify in all sizes, for a few sequences: what is believed of acceptance and costs is a guess until then. */
const WARM_STEPS = 16
const WARM_SEQUENCES = 4
/** Of the first steps, and of looks. */
const LOOK_GROWTH: Omit<Growth, 'depth'> = { leastProbability: 0, leastGrown: 0.2, promisedGoodput: null }

export function autoPolicy(options: AutoOptions): SpeculationPolicy {
  return { lookup: 'beside', idleSteps: IDLE_STEPS, shape: (question) => chooseShape(question, options), verify: chooseNodes }
}

function chooseShape(question: ShapeQuestion, options: AutoOptions): ProposalShape {
  const { canDraft, current, isNewLoad, stepNumber } = question
  if (!canDraft) return OFF
  if (stepNumber < WARM_STEPS) return draftOf(options, { ...LOOK_GROWTH, depth: options.maxDepth }, { maxSequences: WARM_SEQUENCES, verifies: 'sizes' })
  const isOn = current.kind === 'draft' && (current.trial === null || current.trial.verifies === 'sizes')
  if (!isNewLoad && isUnasked(current, stepNumber)) return current
  if (isOn && current.trial === null && stepNumber % SIZES_STEPS === SIZES_STEPS - 1) return larger(question, current, options)
  const plain = plainStep(question)
  const drafted = bestDraft(question, options)
  if (drafted === null) return OFF
  if (promises(question, drafted, plain, isOn ? KEEP_RATIO : BEGIN_RATIO)) return draftOf(options, drafted, null)
  const trial = lookAt(question, (question.keptRatio * goodputOf(drafted)) / goodputOf(plain))
  if (trial === null) return OFF
  return draftOf(options, trial.verifies === 'best' ? drafted : { ...LOOK_GROWTH, depth: options.maxDepth }, trial)
}

/** The shape in force goes on: at the same load there is no question in this step. */
function isUnasked(current: ProposalShape, stepNumber: number): boolean {
  if (current.kind !== 'draft') return stepNumber % IDLE_STEPS !== 0
  if (current.trial === null) return stepNumber % SHAPE_STEPS !== 0 && stepNumber % SIZES_STEPS !== SIZES_STEPS - 1
  return current.trial.verifies === 'best' && stepNumber % LOOK_STEPS < BEST_STEPS
}

function draftOf({ maxWidth }: AutoOptions, { depth, leastProbability, leastGrown, promisedGoodput }: Growth, trial: Trial | null): DraftShape {
  return { kind: 'draft', depth, width: maxWidth, leastProbability, leastGrown, promisedGoodput, trial }
}

function larger({ sequences }: ShapeQuestion, shape: DraftShape, { maxDepth }: AutoOptions): DraftShape {
  const depth = Math.min(maxDepth, shape.depth + SIZES_LEVELS + Math.floor(maxDepth / sequences.length))
  const share = (probability: number): number => SIZES_GROWN_SHARE * probability
  return { ...shape, depth, leastProbability: share(shape.leastProbability), leastGrown: share(shape.leastGrown), trial: { maxSequences: Infinity, verifies: 'sizes' } }
}

function lookAt({ sequences, stepNumber }: ShapeQuestion, promisedRatio: number): Trial | null {
  const every = promisedRatio < HOPELESS_RATIO ? HOPELESS_TIMES * LOOK_STEPS : LOOK_STEPS
  if (stepNumber % every !== 0) return null
  if (promisedRatio > CLOSE_RATIO) return { maxSequences: sequences.length, verifies: 'best' }
  return { maxSequences: LOOKED_SEQUENCES, verifies: 'nothing' }
}
