// The report of `rubato bench identity`: which schedules ran, and how each pair of them compares.
import Table from 'cli-table3'
import type { PairReport } from './compare.ts'
import type { ScheduleOutcome } from './schedules.ts'

export interface IdentityReport {
  readonly model: string
  readonly dtype: string
  readonly threads: number
  readonly seed: number
  readonly requests: number
  /** Tokens of one schedule. */
  readonly tokens: number
  readonly schedules: readonly {
    readonly name: string
    readonly kind: string
    readonly steps: number
    readonly preemptions: number
    readonly cached_tokens: number
    readonly accepted_draft_tokens: number
  }[]
  readonly pairs: readonly {
    readonly a: string
    readonly b: string
    readonly rule: string
    readonly tokens: number
    readonly differing: number
    readonly unequal_rows: number
    readonly max_logit_ratio: number
    readonly first_differences: readonly { readonly request: string; readonly index: number; readonly tokens: readonly (number | null)[]; readonly margin: number | null }[]
    readonly violation: string | null
  }[]
  readonly violations: number
}

export function identityReport(about: Pick<IdentityReport, 'model' | 'dtype' | 'threads' | 'seed' | 'requests'>, outcomes: readonly ScheduleOutcome[], pairs: readonly PairReport[]): IdentityReport {
  return {
    ...about,
    tokens: pairs[0]?.tokens ?? 0,
    schedules: outcomes.map(({ name, kind, numSteps, preemptions, cachedTokens, acceptedDraftTokens }) => ({
      name, kind, steps: numSteps, preemptions, cached_tokens: cachedTokens, accepted_draft_tokens: acceptedDraftTokens,
    })),
    pairs: pairs.map(({ a, b, rule, tokens, differing, unequalRows, maxLogitRatio, firstDifferences, violation }) => ({
      a, b, rule, tokens, differing, unequal_rows: unequalRows, max_logit_ratio: maxLogitRatio,
      first_differences: firstDifferences.map(({ requestId, ...first }) => ({ request: requestId, ...first })),
      violation,
    })),
    violations: pairs.filter(({ violation }) => violation !== null).length,
  }
}

export function renderIdentityReport(report: IdentityReport): string {
  const schedules = new Table({ head: ['schedule', 'kind', 'steps', 'preemptions', 'cached', 'accepted'], style: { head: [], border: [] } })
  for (const { name, kind, steps, preemptions, cached_tokens, accepted_draft_tokens } of report.schedules) {
    schedules.push([name, kind, steps, preemptions, cached_tokens, accepted_draft_tokens])
  }
  const pairs = new Table({ head: ['pair', 'rule', 'differing', 'first difference', 'unequal rows', 'verdict'], style: { head: [], border: [] } })
  for (const { a, b, rule, tokens, differing, unequal_rows, first_differences, violation } of report.pairs) {
    const [first] = first_differences
    const where = first === undefined ? '' : `${first.request}[${first.index}] margin ${first.margin?.toExponential(2) ?? 'none: one ended'}`
    pairs.push([`${a} / ${b}`, rule, `${differing} of ${tokens}`, where, unequal_rows, violation ?? 'ok'])
  }
  const verdict = report.violations === 0 ? 'every pair keeps its rule' : `${report.violations} pairs break their rule`
  return [`${report.model}, ${report.dtype}, seed ${report.seed}: ${report.requests} requests, ${report.tokens} tokens`, schedules.toString(), pairs.toString(), verdict].join('\n')
}
