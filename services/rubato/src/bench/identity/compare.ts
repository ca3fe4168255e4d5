// Holds two schedules' draws against each other and against the identity rule that binds the pair (design: Identity).
//
// - bitwise: equal tokens from bitwise equal logits.
// - margin: tokens may differ first where the best two perturbed logits were within 1e-4, once in 1e5 tokens at most.
// - logits: up to and with the first difference, logits within 0.15 of their standard deviation.
import type { IdentityRequest } from './identity-requests.ts'
import type { DrawnToken } from './recording-engine.ts'
import type { ScheduleKind, ScheduleOutcome } from './schedules.ts'

export type IdentityRule = 'bitwise' | 'margin' | 'logits'

const MARGIN_LIMIT = 1e-4
const TOKENS_PER_DIFFERENCE = 1e5
const LOGIT_LIMIT_RATIO = 0.15

export interface FirstDifference {
  readonly requestId: string
  /** Place among the request's tokens. */
  readonly index: number
  readonly tokens: readonly [number | null, number | null]
  /** Larger of the two draws' margins; null where one request had ended. */
  readonly margin: number | null
}

export interface PairReport {
  readonly a: string
  readonly b: string
  readonly rule: IdentityRule
  readonly tokens: number
  readonly differing: number
  /** One per request that differs at all. */
  readonly firstDifferences: readonly FirstDifference[]
  /** Draws before and at first differences whose logits are not bitwise equal. */
  readonly unequalRows: number
  /** Largest distance of two logits over the row's standard deviation, over the same draws. */
  readonly maxLogitRatio: number
  /** What breaks the rule; null: nothing. */
  readonly violation: string | null
}

export function ruleOf(a: ScheduleKind, b: ScheduleKind, dtype: 'float32' | 'int8'): IdentityRule {
  if (a === 'keeps' && b === 'keeps') return 'bitwise'
  if (dtype === 'float32') return 'margin'
  // int8 replays emitted tokens as single-token steps, so recompute keeps the shapes; verifying does not.
  return a === 'speculates' || b === 'speculates' ? 'logits' : 'bitwise'
}

interface RowDistance {
  readonly isEqual: boolean
  /** Largest distance over the standard deviation of the first row. */
  readonly ratio: number
}

function rowDistance(a: Float32Array, b: Float32Array): RowDistance {
  let sum = 0
  let squares = 0
  let furthest = 0
  for (let i = 0; i < a.length; i++) {
    const value = a[i]!
    sum += value
    squares += value * value
    furthest = Math.max(furthest, Math.abs(value - b[i]!))
  }
  const bitsA = new Uint32Array(a.buffer, a.byteOffset, a.length)
  const bitsB = new Uint32Array(b.buffer, b.byteOffset, b.length)
  const deviation = Math.sqrt(Math.max(0, squares / a.length - (sum / a.length) ** 2))
  return { isEqual: bitsA.every((bits, i) => bits === bitsB[i]), ratio: furthest === 0 ? 0 : furthest / deviation }
}

interface RequestDifference {
  readonly tokens: number
  readonly differing: number
  readonly first: Omit<FirstDifference, 'requestId'> | null
  readonly unequalRows: number
  readonly maxLogitRatio: number
}

function compareRequest(a: readonly DrawnToken[], b: readonly DrawnToken[]): RequestDifference {
  const tokens = Math.max(a.length, b.length)
  let differing = 0
  let unequalRows = 0
  let maxLogitRatio = 0
  let first: Omit<FirstDifference, 'requestId'> | null = null
  for (let index = 0; index < tokens; index++) {
    const [left, right] = [a[index], b[index]]
    const isSame = left?.tokenId === right?.tokenId
    if (!isSame) differing++
    if (first !== null) continue
    if (left !== undefined && right !== undefined) {
      const distance = rowDistance(left.row, right.row)
      if (!distance.isEqual) unequalRows++
      maxLogitRatio = Math.max(maxLogitRatio, distance.ratio)
    }
    if (isSame) continue
    const margin = left === undefined || right === undefined ? null : Math.max(left.margin, right.margin)
    first = { index, tokens: [left?.tokenId ?? null, right?.tokenId ?? null], margin }
  }
  return { tokens, differing, first, unequalRows, maxLogitRatio }
}

function violationOf(pair: Omit<PairReport, 'violation' | 'a' | 'b'>): string | null {
  const { rule, tokens, firstDifferences, unequalRows, maxLogitRatio } = pair
  switch (rule) {
    case 'bitwise':
      if (firstDifferences.length > 0) return `${firstDifferences.length} requests differ`
      return unequalRows === 0 ? null : `${unequalRows} rows of logits are not bitwise equal`
    case 'margin': {
      const allowed = Math.ceil(tokens / TOKENS_PER_DIFFERENCE)
      if (firstDifferences.some(({ margin }) => margin === null || margin >= MARGIN_LIMIT)) return `a difference has a margin of ${MARGIN_LIMIT} or more`
      return firstDifferences.length <= allowed ? null : `${firstDifferences.length} differences in ${tokens} tokens, ${allowed} allowed`
    }
    case 'logits':
      return maxLogitRatio <= LOGIT_LIMIT_RATIO ? null : `logits differ by ${maxLogitRatio.toFixed(3)} standard deviations`
  }
}

export function comparePair(a: ScheduleOutcome, b: ScheduleOutcome, requests: readonly IdentityRequest[], dtype: 'float32' | 'int8'): PairReport {
  const differences = requests.map(({ requestId, sampling: { seed } }) => ({ requestId, ...compareRequest(a.drawn.get(seed) ?? [], b.drawn.get(seed) ?? []) }))
  const total = (pick: (difference: RequestDifference) => number): number => differences.reduce((sum, difference) => sum + pick(difference), 0)
  const facts = {
    rule: ruleOf(a.kind, b.kind, dtype),
    tokens: total(({ tokens }) => tokens),
    differing: total(({ differing }) => differing),
    firstDifferences: differences.flatMap(({ requestId, first }) => (first === null ? [] : [{ requestId, ...first }])),
    unequalRows: total(({ unequalRows }) => unequalRows),
    maxLogitRatio: differences.reduce((most, { maxLogitRatio }) => Math.max(most, maxLogitRatio), 0),
  }
  return { a: a.name, b: b.name, ...facts, violation: violationOf(facts) }
}

/** Every pair of schedules, in order. */
export function comparePairs(outcomes: readonly ScheduleOutcome[], requests: readonly IdentityRequest[], dtype: 'float32' | 'int8'): readonly PairReport[] {
  return outcomes.flatMap((a, place) => outcomes.slice(place + 1).map((b) => comparePair(a, b, requests, dtype)))
}
