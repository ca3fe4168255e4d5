// The placement search on the example of the original's documentation. About 4 s.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { distServeInstance } from './catalogue.ts'
import { CATALOGUE, EXAMPLE_SPACE, EXAMPLE_TARGETS, workloadOf } from './fixtures/opt-13b.ts'
import { bestPlacement, enumeratePlacements, numGpus, searchPlacements } from './placement.ts'
import type { DistServePlacement, PlacementSearch } from './placement.ts'

function text({ numSegments, prefill, decode }: DistServePlacement): string {
  return [numSegments, prefill.tp, prefill.pp, decode.tp, decode.pp].join(',')
}

/** "Best per GPU rate: 1.56. Best config: pp_cross=1, tp_prefill=2, pp_prefill=1, tp_decode=1, pp_decode=1" */
const PUBLISHED_PLACEMENT = '1,2,1,1,1'
const PUBLISHED_RATE = 1.5625

const search = (file: Parameters<typeof workloadOf>[0]): PlacementSearch => ({
  space: EXAMPLE_SPACE, targets: EXAMPLE_TARGETS, workload: workloadOf(file), instance: (parallelism) => distServeInstance(CATALOGUE, parallelism),
})

test('one node of four GPUs has nine placements', () => {
  const placements = enumeratePlacements(EXAMPLE_SPACE).map(text)
  assert.deepEqual(placements, ['1,1,1,1,1', '1,1,1,1,2', '1,1,1,2,1', '1,1,2,1,1', '1,1,2,1,2', '1,1,2,2,1', '1,2,1,1,1', '1,2,1,1,2', '1,2,1,2,1'])
})

test('over slow links both instances have every segment in one node; over fast ones they may lie anywhere', () => {
  const space = { ...EXAMPLE_SPACE, numNodes: 2, gpusPerNode: 2 }
  assert.deepEqual(enumeratePlacements(space).map(text), ['1,1,1,1,1', '2,1,1,1,1'])
  const anywhere = enumeratePlacements({ ...space, linksBetweenNodes: 'fast' })
  assert.deepEqual(anywhere.map(text), enumeratePlacements(EXAMPLE_SPACE).map(text))
  assert.ok(anywhere.every((placement) => numGpus(placement) <= 4))
})

test('of equal rates the one with fewer GPUs is best', () => {
  const [small, large] = enumeratePlacements(EXAMPLE_SPACE)
  assert.equal(bestPlacement([{ placement: large!, ratePerGpu: 2 }, { placement: small!, ratePerGpu: 2 }])?.placement, small)
  assert.equal(bestPlacement([{ placement: large!, ratePerGpu: 2.5 }, { placement: small!, ratePerGpu: 2 }])?.placement, large)
  assert.equal(bestPlacement([]), undefined)
})

test('with the lengths that DistServe served the search lands on the published placement', (t) => {
  const best = bestPlacement(searchPlacements(search('sharegpt_opt13b_n300')))!
  t.diagnostic(`${text(best.placement)} at ${best.ratePerGpu} requests/s and GPU; published ${PUBLISHED_PLACEMENT} at ${PUBLISHED_RATE}, from another sample`)
  assert.equal(text(best.placement), PUBLISHED_PLACEMENT)
})

test('with shorter prompts every placement is above the published ceiling of 5; under a higher one the same placement wins', (t) => {
  const results = searchPlacements({ ...search('sharegpt_n500'), search: { maxRate: 40, tolerance: 2 } })
  for (const { placement, ratePerGpu } of results) {
    t.diagnostic(`${text(placement)}: ${ratePerGpu} requests/s and GPU`)
    assert.ok(ratePerGpu > 5)
  }
  assert.equal(text(bestPlacement(results)!.placement), PUBLISHED_PLACEMENT)
})
