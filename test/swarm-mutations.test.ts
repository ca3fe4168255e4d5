// Whether the swarm would notice: bugs that are put in on purpose, each found by a seed that the swarm's own test runs.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runSeed } from '@rubato/service-rubato/swarm'
import type { Invariant } from '@rubato/service-rubato/swarm'
import { MUTATIONS } from './support/mutations/mutations.ts'
import type { MutationName } from './support/mutations/mutations.ts'

interface Found {
  /** Of 1..200, which test/swarm.test.ts runs: the first that found it, when this was written. */
  readonly seed: number
  readonly invariants: readonly Invariant[]
}

/** Seeds that are looked at before the bug counts as not found. */
const MAX_SEEDS = 40

const FOUND: Readonly<Record<MutationName, Found>> = {
  'skipped epoch check': { seed: 2, invariants: ['fencing'] },
  'double free': { seed: 1, invariants: ['conservation'] },
  'lost dispatch': { seed: 1, invariants: ['unfinished'] },
  'lost abort': { seed: 1, invariants: ['leak'] },
  'ignored lease': { seed: 2, invariants: ['leak', 'unfinished'] },
  'dropped commit reply': { seed: 2, invariants: ['leak', 'unfinished'] },
  'off by one in a commit': { seed: 2, invariants: ['crash', 'conservation', 'exactly-once', 'identity'] },
  'off by one in a run': { seed: 1, invariants: ['exactly-once', 'identity'] },
  'unchecked transfer': { seed: 2, invariants: ['identity', 'crash', 'conservation'] },
  'second ledger': { seed: 1, invariants: ['budget', 'crash', 'conservation'] },
}

for (const [name, { seed, invariants }] of Object.entries(FOUND) as [MutationName, Found][]) {
  test(`${name} is found`, (t) => {
    for (let tried = seed; tried < seed + MAX_SEEDS; tried++) {
      const { violation } = runSeed(tried, MUTATIONS[name]()).result
      if (violation === null) continue
      t.diagnostic(`seed ${tried}: ${violation.invariant}: ${violation.message}`)
      assert.ok(invariants.includes(violation.invariant), `seed ${tried}: ${violation.invariant}: ${violation.message}`)
      return
    }
    assert.fail(`not found by seeds ${seed}..${seed + MAX_SEEDS - 1}`)
  })
}
