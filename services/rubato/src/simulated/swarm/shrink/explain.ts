// What a violation's finder is told: the seed, the invariant, the smallest run that shows it, the last lines of its trace about
// whom it concerns, and the command that shows it again.
import type { Violation } from '../check/violation.ts'
import type { SwarmPlan } from '../draw/plan.ts'
import { runPlan } from '../run/run-plan.ts'
import type { Mutation } from '../run/run-plan.ts'
import type { SeedRun } from '../run/run-seed.ts'
import { shrink } from './shrink.ts'
import type { Failing } from './shrink.ts'

export interface ExplainOptions {
  /** Tells when to stop shrinking; never within a replay. */
  readonly hasTime: () => boolean
  readonly mutation?: () => Mutation
}

const NUM_LINES = 60
const MAX_LINE_CHARS = 300
/** What happened to processes belongs to every story. */
const EVENTS = / (?:killed|frozen|thawed|crashed) /

/** Of a run that violated something. */
export function explain({ plan, result }: SeedRun, violation: Violation, { hasTime, mutation }: ExplainOptions): string {
  const options = (): { readonly mutation?: Mutation } => (mutation === undefined ? {} : { mutation: mutation() })
  const smallest = shrink({ plan, strikes: result.strikes }, {
    invariant: violation.invariant, hasTime,
    replay: (failing) => runPlan(failing.plan, { ...options(), strikes: failing.strikes }).violation?.invariant ?? null,
  })
  const ring: string[] = []
  const shown = runPlan(smallest.plan, { ...options(), strikes: smallest.strikes, onTrace: tail(ring, violation.about) }).violation ?? violation
  return [
    `seed ${plan.seed}: ${violation.invariant} at ${violation.atMs.toFixed(1)} ms: ${violation.message}`,
    `smallest run found: ${sizeText(smallest)}; there: ${shown.invariant} at ${shown.atMs.toFixed(1)} ms: ${shown.message}`,
    fleetText(plan),
    ...smallest.strikes.map(({ atMs, fault }) => `  at ${atMs.toFixed(1)} ms: ${JSON.stringify(fault)}`),
    `last ${ring.length} lines about ${violation.about.length === 0 ? 'all of them' : violation.about.join(', ')}:`,
    ...ring.map((line) => `  ${line}`),
    `again: rubato simulate --seeds ${plan.seed} --faults`,
  ].join('\n')
}

/** Keeps the last lines that name one of `about`. */
function tail(ring: string[], about: readonly string[]): (line: string) => void {
  const names = about.map((name) => new RegExp(`(?<![\\w])${name.replaceAll(/[^\w]/g, '\\$&')}(?![\\w])`))
  return (line) => {
    if (names.length > 0 && !EVENTS.test(line) && !names.some((name) => name.test(line))) return
    ring.push(line.length > MAX_LINE_CHARS ? `${line.slice(0, MAX_LINE_CHARS)}…` : line)
    if (ring.length > NUM_LINES) ring.shift()
  }
}

function sizeText({ plan, strikes }: Failing): string {
  return `${plan.requests.length} requests, ${strikes.length} faults`
}

function fleetText({ fleet: { instances, ...fleet } }: SwarmPlan): string {
  const each = instances.map(({ name, role, numBlocks, batching, speculation }) => `${name} (${role}, ${numBlocks} blocks, ${batching}, ${speculation ?? 'no speculation'})`)
  return `fleet: ${JSON.stringify(fleet)}, ${each.join(', ')}`
}
