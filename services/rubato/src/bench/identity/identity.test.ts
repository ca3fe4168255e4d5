import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { randomStream } from '@rubato/sim'
import { writeTinyCheckpoint } from '@rubato/testing'
import { comparePair, comparePairs, ruleOf } from './compare.ts'
import { renderIdentityReport } from './identity-report.ts'
import { identityRequests } from './identity-requests.ts'
import { randomTree } from './replay-trees.ts'
import { runIdentity } from './run-identity.ts'
import type { ScheduleKind, ScheduleOutcome } from './schedules.ts'

const SHAPE = { vocabSize: 160, cellTokens: 128, maxModelLen: 1024 }

let folder = ''
let modelDir = ''

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rubato-identity-'))
  modelDir = writeTinyCheckpoint(path.join(folder, 'model'), { maxPositions: 1024 })
})
after(() => rmSync(folder, { recursive: true, force: true }))

const REQUESTS = identityRequests(2, 3, SHAPE)

/** An outcome whose request `i` drew the given tokens, from rows that are `shift` away from those of shift 0. */
function outcome(name: string, kind: ScheduleKind, tokens: readonly (readonly number[])[], { margin = 1, shift = 0 } = {}): ScheduleOutcome {
  const drawn = new Map(REQUESTS.map(({ sampling: { seed } }, i) => [
    seed, tokens[i]!.map((tokenId) => ({ tokenId, margin, row: Float32Array.from([1 + shift, -1, 1, -1]) })),
  ]))
  return { name, kind, drawn, numSteps: 1, preemptions: 0, cachedTokens: 0, acceptedDraftTokens: 0 }
}

test('requests are the same for a seed, fit the model, and some share their first cells', () => {
  const requests = identityRequests(12, 9, SHAPE)
  assert.deepEqual(requests, identityRequests(12, 9, SHAPE))
  assert.notDeepEqual(requests, identityRequests(12, 10, SHAPE))
  assert.equal(new Set(requests.map(({ sampling }) => sampling.seed)).size, 12)
  for (const { promptIds, sampling } of requests) assert.ok(promptIds.length >= 1 && promptIds.length + sampling.maxTokens <= SHAPE.maxModelLen)
  assert.deepEqual(requests[0]!.promptIds.slice(0, 256), requests[3]!.promptIds.slice(0, 256))
  for (const { promptIds, sampling } of identityRequests(12, 9, { ...SHAPE, maxModelLen: 64 })) assert.ok(promptIds.length + sampling.maxTokens <= 64)
})

test('schedules that keep shapes are bound bitwise; recompute and speculation by margins, or in int8 by what they keep', () => {
  assert.equal(ruleOf('keeps', 'keeps', 'int8'), 'bitwise')
  assert.equal(ruleOf('keeps', 'recomputes', 'float32'), 'margin')
  assert.equal(ruleOf('recomputes', 'keeps', 'int8'), 'bitwise')
  assert.equal(ruleOf('keeps', 'speculates', 'float32'), 'margin')
  assert.equal(ruleOf('speculates', 'recomputes', 'int8'), 'logits')
})

test('a pair counts differing tokens and names the first one of each request', () => {
  const a = outcome('a', 'keeps', [[1, 2, 3, 4], [5, 6]])
  const b = outcome('b', 'keeps', [[1, 9, 3, 8], [5, 6]])
  const pair = comparePair(a, b, REQUESTS, 'float32')
  assert.deepEqual([pair.tokens, pair.differing, pair.rule], [6, 2, 'bitwise'])
  assert.deepEqual(pair.firstDifferences, [{ requestId: 'r0', index: 1, tokens: [2, 9], margin: 1 }])
  assert.match(pair.violation!, /1 requests differ/)
  assert.equal(comparePair(a, a, REQUESTS, 'float32').violation, null)
})

test('equal tokens from unequal logits break the bitwise rule only', () => {
  const tokens = [[1, 2], [3, 4]]
  const shifted = outcome('b', 'keeps', tokens, { shift: 1e-6 })
  const pair = comparePair(outcome('a', 'keeps', tokens), shifted, REQUESTS, 'float32')
  assert.equal(pair.unequalRows, 4)
  assert.match(pair.violation!, /not bitwise/)
  assert.equal(comparePair(outcome('a', 'recomputes', tokens), shifted, REQUESTS, 'float32').violation, null)
})

test('a difference under the margin rule needs a margin below 1e-4, once in 1e5 tokens, and not an early end', () => {
  const differ = (margin: number, tokens = [[1, 7], [3, 4]]) =>
    comparePair(outcome('a', 'keeps', [[1, 2], [3, 4]], { margin }), outcome('b', 'recomputes', tokens, { margin }), REQUESTS, 'float32').violation
  assert.equal(differ(9e-5), null)
  assert.match(differ(1e-4)!, /margin/)
  assert.match(differ(1e-6, [[1, 7], [3, 7]])!, /2 differences in 4 tokens, 1 allowed/)
  assert.match(differ(1e-6, [[1], [3, 4]])!, /margin/)
})

test('int8 speculation may drift by 0.15 standard deviations of the logits', () => {
  const tokens = [[1, 2], [3, 4]]
  const drift = (shift: number) => comparePair(outcome('a', 'keeps', tokens), outcome('b', 'speculates', tokens, { shift }), REQUESTS, 'int8')
  assert.equal(drift(0.14).violation, null)
  assert.match(drift(0.16).violation!, /standard deviations/)
  assert.ok(Math.abs(drift(0.14).maxLogitRatio - 0.14) < 1e-6)
})

test('random trees list parents before children, keep their depth, and mostly guess right', () => {
  const random = randomStream(4, 'trees')
  const right = [11, 12, 13]
  let numRight = 0
  for (let round = 0; round < 200; round++) {
    const maxDepth = random.int(4)
    const tree = randomTree(right, maxDepth, 10, random)
    if (maxDepth === 0) assert.equal(tree, null)
    if (tree === null) continue
    const depths: number[] = []
    for (const [node, parent] of tree.parents.entries()) {
      assert.ok(parent < node)
      depths.push(parent < 0 ? 1 : depths[parent]! + 1)
      assert.ok(depths[node]! <= maxDepth)
      if (tree.tokenIds[node] === right[depths[node]! - 1]) numRight++
    }
  }
  assert.ok(numRight > 100)
})

test('every schedule of a real engine keeps its rule, and each does what it is there for', async () => {
  const report = await runIdentity({ model: 'tiny', modelDir, dtype: 'float32', threads: 1, cacheDir: folder, numRequests: 7, seed: 3, onProgress: () => {} })
  assert.deepEqual(report.pairs.filter(({ violation }) => violation !== null), [])
  assert.equal(report.violations, 0)
  const by = new Map(report.schedules.map((schedule) => [schedule.name, schedule]))
  assert.equal(report.pairs.length, (by.size * (by.size - 1)) / 2)
  assert.ok(by.get('together')!.steps < by.get('alone')!.steps)
  assert.ok(by.get('prefix-cache')!.cached_tokens > 0)
  assert.ok(by.get('preemption')!.preemptions > 0)
  assert.ok(by.get('random-trees')!.accepted_draft_tokens > 0)
  assert.match(renderIdentityReport(report), /every pair keeps its rule/)
})

test('a model that draws otherwise is caught', () => {
  const outcomes = [outcome('alone', 'keeps', [[1, 2], [3]]), outcome('together', 'keeps', [[1, 2], [4]]), outcome('recovery', 'recomputes', [[1, 2], [3]])]
  const broken = comparePairs(outcomes, REQUESTS, 'float32').filter(({ violation }) => violation !== null)
  assert.deepEqual(broken.map(({ a, b }) => `${a}/${b}`), ['alone/together', 'together/recovery'])
})
