import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CPU_MODEL, idsOf, instanceOf, requestOf, withAdded } from '../fixtures/cluster.ts'
import type { DispatchInstance, DispatchRequest, Placement } from '../snapshot.ts'
import { slo } from './slo.ts'

function chosen(instances: readonly DispatchInstance[], request: Partial<DispatchRequest> = {}, placement: Placement = 'auto'): readonly string[] {
  return idsOf(slo(placement)(requestOf(request), instances))
}

const prefill = instanceOf('p', { role: 'prefill' })
const decode = instanceOf('d', { role: 'decode' })

test('the forecast of the choice comes with it', () => {
  const decision = slo('auto')(requestOf(), [instanceOf('a')])
  assert.ok(decision.kind === 'colocated' && decision.forecast.ttftMs !== null && decision.forecast.tpotMs !== null)
  assert.ok(Math.abs(decision.forecast.ttftMs - 168.1664) < 1e-9 && Math.abs(decision.forecast.tpotMs - 3.6304) < 1e-9)
})

test('without targets the earliest completion wins', () => {
  const a = instanceOf('a', { pendingPrefillTokens: 1_024 })
  const b = instanceOf('b', { pendingPrefillTokens: 512 })
  assert.deepEqual(chosen([a, b], {}, 'colocated'), ['b'])
})

test('a first-token target that only one instance meets decides, though the other one finishes earlier', () => {
  // a: no queue, but 40 sequences: 19.6 ms steps. b: 512 tokens in front, 336 ms to the first token, 3.8 ms steps.
  const a = instanceOf('a', { numSequences: 40, contextTokens: 1_000 })
  const b = instanceOf('b', { pendingPrefillTokens: 512 })
  assert.deepEqual(chosen([a, b], { ttftMs: 250 }, 'colocated'), ['a'])
  assert.deepEqual(chosen([a, b], { ttftMs: 350 }, 'colocated'), ['b'])
  assert.deepEqual(chosen([a, b], { ttftMs: 250, tpotMs: 8 }, 'colocated'), ['b'])
})

test('among those within target, one whose sequences would miss theirs is spared', () => {
  // a: 20 sequences at 19.9 ms; the request and its one cell bring their mean to 20.9 ms. b: 10,000 tokens in front, later but harmless.
  const a = instanceOf('a', { numSequences: 20, contextTokens: 22_250, hitTokens: 511 })
  const b = instanceOf('b', { pendingPrefillTokens: 10_000 })
  assert.deepEqual(chosen([a, b], { tpotMs: 21 }, 'colocated'), ['a'])
  assert.deepEqual(chosen([a, b], { tpotMs: 20.3 }, 'colocated'), ['b'])
})

test('full instances come last; when all are full, the highest freeness is the least bad', () => {
  const full = instanceOf('a', { availableBlocks: 30, freenessBlocks: 30 })
  const busy = instanceOf('b', { pendingPrefillTokens: 4_000 })
  assert.deepEqual(chosen([full, busy]), ['b'], '32 blocks of prompt do not fit into 30')
  const low = instanceOf('c', { freenessBlocks: 2 })
  assert.deepEqual(chosen([low, busy]), ['b'])
  assert.deepEqual(chosen([low, full]), ['c'])
  assert.deepEqual(chosen([full, instanceOf('d', { availableBlocks: 20, freenessBlocks: -3 })]), ['a'])
})

test('a pair serves a long prompt when decodes wait on the decode instance', () => {
  const busyDecode = { ...decode, numSequences: 8, contextTokens: 4_000 }
  assert.deepEqual(chosen([prefill, busyDecode], { promptTokens: 2_048 }), ['p', 'd'])
})

test('short prompts and warm prefixes are not shipped', () => {
  // 16 tokens: a cell of 6.8 ms and 2 steps; a hand-off alone takes 3 ms.
  assert.deepEqual(chosen([prefill, decode], { promptTokens: 16, maxNewTokens: 4 }), ['d'])
  const warm = { ...decode, hitTokens: 1_920 }
  assert.deepEqual(chosen([prefill, warm], { promptTokens: 2_048 }), ['d'])
  assert.deepEqual(chosen([prefill, decode], { promptTokens: 2_048 }), ['p', 'd'])
})

test('a slow link is not worth it, until the placement demands a pair', () => {
  const slowLink = { ...decode, pullBytesPerSec: 1e6 }
  assert.equal(chosen([prefill, slowLink], { promptTokens: 2_048 }).length, 1)
  assert.deepEqual(chosen([prefill, slowLink], { promptTokens: 2_048 }, 'disaggregated'), ['p', 'd'])
})

test('disaggregated pairs whenever it can, colocated never', () => {
  assert.deepEqual(chosen([prefill, decode], { promptTokens: 16 }, 'disaggregated'), ['p', 'd'])
  assert.deepEqual(chosen([instanceOf('m'), decode], {}, 'disaggregated'), ['m', 'd'])
  assert.equal(chosen([prefill, decode], { promptTokens: 2_048 }, 'colocated').length, 1)
  for (const request of [{ emittedTokens: 3 }, { maxNewTokens: 1 }]) assert.equal(chosen([prefill, decode], request, 'disaggregated').length, 1)
  assert.equal(chosen([prefill, { ...decode, shipsKv: false }], {}, 'disaggregated').length, 1)
})

test('instances of one kind do everything', () => {
  for (const placement of ['auto', 'disaggregated', 'colocated'] as const) {
    for (const only of [prefill, decode]) {
      const twins = [only, { ...only, instanceId: 'other', pendingPrefillTokens: 1_000 }]
      assert.deepEqual(chosen(twins, {}, placement), [only.instanceId])
    }
  }
})

test('a recovered request goes on where decodes belong', () => {
  assert.deepEqual(chosen([prefill, decode], { emittedTokens: 20 }), ['d'])
  assert.deepEqual(chosen([prefill], { emittedTokens: 20 }), ['p'])
})

test('the prompt goes to the shorter queue and the tokens to the smaller batch', () => {
  const prefills = [{ ...prefill, instanceId: 'p1', pendingPrefillTokens: 2_000 }, { ...prefill, instanceId: 'p2' }]
  const decodes = [{ ...decode, instanceId: 'd1', numSequences: 4, contextTokens: 4_000 }, { ...decode, instanceId: 'd2', numSequences: 12, contextTokens: 9_000 }]
  assert.deepEqual(chosen([...prefills, ...decodes], { promptTokens: 2_048 }), ['p2', 'd1'])
})

test('without any cost model proportions decide, and nothing is forecast', () => {
  const unknown = { costModel: null }
  const decision = slo('colocated')(requestOf({ ttftMs: 1 }), [instanceOf('a', { ...unknown, pendingPrefillTokens: 2_000 }), instanceOf('b', unknown)])
  assert.deepEqual(decision, { kind: 'colocated', instanceId: 'b', forecast: { ttftMs: null, tpotMs: null } })
})

test('a faster machine takes more: each by its own cost model', () => {
  const slow = instanceOf('slow', { costModel: { ...CPU_MODEL, correctionRatio: 4 } })
  let instances: readonly DispatchInstance[] = [slow, instanceOf('fast')]
  const counts = new Map<string, number>()
  for (let ordinal = 0; ordinal < 40; ordinal += 1) {
    const request = requestOf({ requestId: `request-${ordinal}` })
    const decision = slo('colocated')(request, instances)
    instances = withAdded(instances, request, decision)
    counts.set(idsOf(decision)[0]!, (counts.get(idsOf(decision)[0]!) ?? 0) + 1)
  }
  const ratio = counts.get('fast')! / counts.get('slow')!
  assert.ok(ratio > 2.5 && ratio < 6, `ratio ${ratio}`)
})

test('several choices count as several sequences', () => {
  // One more on b makes 7.6 ms steps, 16 more 17.1 ms. On a they make 13.2 ms, and prompts in front add little under a target.
  const a = instanceOf('a', { pendingPrefillTokens: 2_048 })
  const b = instanceOf('b', { numSequences: 8, contextTokens: 2_000 })
  assert.deepEqual(chosen([a, b], { numChoices: 1, tpotMs: 14 }, 'colocated'), ['b'])
  assert.deepEqual(chosen([a, b], { numChoices: 16, tpotMs: 14 }, 'colocated'), ['a'])
})
