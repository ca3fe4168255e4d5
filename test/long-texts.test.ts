// Heavy text work must not hold up streams: the router's loop hands long prompts to a pool.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startCluster, until } from './support/cluster.ts'

test('while 20 long texts are tokenised, 8 streams go on', async (t) => {
  const cluster = await startCluster(t)
  const counts = Array.from({ length: 8 }, () => 0)
  const handles = counts.map((_, index) =>
    cluster.router.submit({
      requestId: `s${index}`, model: '', input: { kind: 'text', text: 'HAMLET:\n' }, n: 1, stop: [], slo: { ttftMs: null, tpotMs: null }, priority: 0, cacheSalt: '', remainingMs: null, echo: false, resumeFrom: null, trace: null,
      sampling: { maxTokens: 1000, minTokens: 0, temperature: 1, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1, logitBias: [], seed: index, stopTokenIds: [], ignoreEos: true, logprobs: null },
    }, (event) => {
      if (event.kind === 'delta') counts[index]! += event.tokenIds.length
    }))
  await until(() => counts.every((count) => count > 5))
  const before = [...counts]
  const text = 'Friends, Romans, countrymen, lend me your ears; I come to bury Caesar, not to praise him. '.repeat(1000)
  const lengths = await Promise.all(Array.from({ length: 20 }, () => cluster.router.tokenize('', { kind: 'text', text }, true).then((ids) => ids.length)))
  const during = counts.map((count, index) => count - before[index]!)
  assert.equal(new Set(lengths).size, 1)
  assert.ok(during.every((count) => count >= 20), `tokens per stream while tokenising: ${during.join(', ')}`)
  for (const handle of handles) handle.cancel()
})
