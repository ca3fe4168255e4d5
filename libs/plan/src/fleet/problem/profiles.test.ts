// The files that others publish, read as they are, and sizes on a grid. Milliseconds.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidArgument } from '@rubato/config'
import { melangeText } from '../fixtures/problems.ts'
import { formatAibrixProfile, parseAibrixProfile, ratesOnGrid } from './aibrix-profile.ts'
import { isMelangeConfig, melangeProblem } from './melange-config.ts'
import { bucketAt, bucketsOf, checkSizeGrid, histogramOf } from './size-grid.ts'

const refusedAt = (field: string) => (error: unknown): boolean => error instanceof InvalidArgument && error.field === field

test("AIBrix's profiles: rows are outputs, columns inputs", () => {
  const profile = parseAibrixProfile(melangeText('simulator-llama2-7b-a100.json'), 'profile')
  assert.deepEqual([profile.name, profile.cost], ['simulator-llama2-7b-a100', 1])
  assert.deepEqual(profile.grid, { inputEdges: [128, 256, 512, 1024, 2048], outputEdges: [4, 8, 16, 32, 64, 128, 256, 512] })
  const rateAt = (inputTokens: number, outputTokens: number): number => profile.maxRatePerSec[bucketAt(profile.grid, { inputTokens, outputTokens })]!
  assert.equal(rateAt(128, 4), 62.4770592037908)
  assert.equal(rateAt(2048, 4), 4.25505318548248)
  assert.equal(rateAt(128, 8), 60.316466916176516)
  assert.equal(rateAt(128, 512), 0)
  assert.deepEqual(parseAibrixProfile(formatAibrixProfile(profile), 'profile'), profile)
})

test('a profile on another grid is that of the next larger size, and none beyond its largest', () => {
  const profile = { name: 'x', cost: 1, grid: { inputEdges: [10, 100], outputEdges: [10] }, maxRatePerSec: [8, 2] }
  assert.deepEqual(ratesOnGrid(profile, { inputEdges: [5, 10, 11, 101], outputEdges: [10, 20] }), [8, 0, 8, 0, 2, 0, 0, 0])
})

test('what is no profile is refused', () => {
  assert.throws(() => parseAibrixProfile('{', 'p'), refusedAt('p'))
  assert.throws(() => parseAibrixProfile('{"gpu":"a","cost":1,"tputs":[[1],[2]],"indexes":[[4],[8]]}', 'p'), refusedAt('p'))
})

test("Mélange's configuration is refused by the field that is wrong", () => {
  const config = JSON.parse(melangeText('config_example.json')) as Record<string, unknown>
  assert.ok(isMelangeConfig(config) && !isMelangeConfig({ types: [] }))
  assert.throws(() => melangeProblem({ ...config, workload_distribution: [[0.2, 0.1], [0.5, 0.1]] }), refusedAt('workload_distribution'))
  assert.throws(() => melangeProblem({ ...config, gpu_info: { a: { cost: 1, tputs: [[1, 2]] } } }), refusedAt('gpu_info.a.tputs'))
  assert.throws(() => melangeProblem({ ...config, slice_factor: 0 }), refusedAt('slice_factor'))
})

test('a request counts in the bucket of the next larger edges, and beyond the last edges in the last', () => {
  const grid = { inputEdges: [10, 100], outputEdges: [5, 50] }
  assert.deepEqual(bucketsOf(grid).map(({ inputTokens, outputTokens }) => `${inputTokens}/${outputTokens}`), ['10/5', '10/50', '100/5', '100/50'])
  const { shares, beyondRatio } = histogramOf(grid, [[10, 5], [11, 5], [11, 6], [900, 1]].map(([inputTokens, outputTokens]) => ({ inputTokens: inputTokens!, outputTokens: outputTokens! })))
  assert.deepEqual([shares, beyondRatio], [[0.25, 0, 0.5, 0.25], 0.25])
  assert.throws(() => histogramOf(grid, []), refusedAt('workload'))
  assert.throws(() => checkSizeGrid({ inputEdges: [10, 10], outputEdges: [1] }), refusedAt('grid.input'))
})
