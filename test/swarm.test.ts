// Random clusters under random faults, with every invariant checked as they go: each seed draws a fleet, what clients ask of it
// and what goes wrong. A failing seed is printed with the smallest run that shows the violation.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addVisits, explain, MIN_HITS, noVisits, runSeed, unvisited } from '@rubato/service-rubato/swarm'
import { testSeed } from '@rubato/testing'

const NUM_SEEDS = 200
const MAX_REPLAYS = 200
const MAX_WEAK_SEEDS = 4

test(`${NUM_SEEDS} seeds: every invariant holds under the faults of each, and together they meet every transition`, (t) => {
  const first = testSeed(1)
  const visits = noVisits()
  const weak: number[] = []
  for (let seed = first; seed < first + NUM_SEEDS; seed++) {
    const run = runSeed(seed)
    const { violation, strikes, numRequests } = run.result
    let numReplays = 0
    if (violation !== null) assert.fail(explain(run, violation, { hasTime: () => numReplays++ < MAX_REPLAYS }))
    assert.ok(numRequests >= 50, `seed ${seed}: ${numRequests} requests`)
    if (strikes.length < MIN_HITS) weak.push(seed)
    addVisits(visits, run.result.visits)
  }
  t.diagnostic(`seeds ${first}..${first + NUM_SEEDS - 1}`)
  assert.ok(weak.length <= MAX_WEAK_SEEDS, `faults hit too little with seeds ${weak.join(' ')}`)
  assert.deepEqual(unvisited(visits), [], `seeds from ${first}`)
})
