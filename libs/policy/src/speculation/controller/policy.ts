// A speculation policy: two pure choices. What they are made from is learnt and kept by the controller.
import type { ShapeQuestion } from './shape-question.ts'
import type { ProposalShape, VerifyPlan } from './snapshot.ts'
import type { VerifyQuestion } from './verify-question.ts'

export interface SpeculationPolicy {
  /** Whether the sequences' own tokens propose: never, where the shape says so, or beside whatever it says. */
  readonly lookup: 'never' | 'as-shaped' | 'beside'
  /** Steps between two questions about the shape while it is off and the load stays the same. */
  readonly idleSteps: number
  /** What is proposed for the next step. */
  readonly shape: (question: ShapeQuestion) => ProposalShape
  /** Which of the candidates on hand are verified. Asked only when there are some. */
  readonly verify: (question: VerifyQuestion) => VerifyPlan
}
