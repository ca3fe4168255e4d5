// A mixed-integer linear program, and what became of it.

export interface Variable {
  readonly cost: number
  /** At least 0; Infinity: none. Every variable is 0 or more. */
  readonly upper: number
  readonly isInteger: boolean
}

/** lower <= sum of coefficient x variable <= upper; infinities are no limits. */
export interface Row {
  readonly lower: number
  readonly upper: number
  readonly terms: readonly Term[]
}

export interface Term {
  /** Position of the variable. */
  readonly variable: number
  readonly coefficient: number
}

/** The cost is minimised. */
export interface Milp {
  readonly variables: readonly Variable[]
  readonly rows: readonly Row[]
}

export type MilpOutcome =
  /** `bound`: no solution costs less. Equal to `cost` when the search ended, below it when it ran out of time. */
  | { readonly kind: 'solved'; readonly values: readonly number[]; readonly cost: number; readonly bound: number }
  | { readonly kind: 'infeasible' }
  /** Nothing was found in time, nor was it proved that there is nothing. */
  | { readonly kind: 'out-of-time' }

export interface MilpLimits {
  /** Seconds of search. */
  readonly timeLimitSec: number
}

/** Pure: equal programs have equal outcomes, but for the time limit. Integers in `values` are whole. */
export type MilpSolver = (milp: Milp, limits: MilpLimits) => MilpOutcome
