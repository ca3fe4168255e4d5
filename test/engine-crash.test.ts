// The engine's thread dies in the middle of streams: clients see a pause, then exactly the tokens they would have seen.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OnnxEngine } from '@rubato/model/engine'
import type { EmbeddedCluster } from '@rubato/service-rubato'
import type { ClientEvent, ClientRequest } from '@rubato/service-router'
import { isIdle, startCluster, until } from './support/cluster.ts'

function requestOf(index: number): ClientRequest {
  return {
    requestId: `r${index}`, model: '', input: { kind: 'text', text: `${'FALSTAFF:\nWhat time of day is it, lad?\n\n'.repeat(1 + index * 2)}PRINCE:\n` },
    sampling: {
      maxTokens: 60, minTokens: 0, temperature: index % 2, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0.1, repetitionPenalty: 1, logitBias: [],
      seed: 100 + index, stopTokenIds: [], ignoreEos: true, logprobs: null,
    },
    n: 1 + (index % 2), stop: [], slo: { ttftMs: null, tpotMs: null }, priority: 0, cacheSalt: '', remainingMs: null, echo: false, resumeFrom: null, trace: null,
  }
}

interface Answer {
  readonly texts: string[]
  readonly tokens: number[][]
  recoveries: number | null
  error: string | null
}

function submit(cluster: EmbeddedCluster, request: ClientRequest): Answer {
  const answer: Answer = { texts: Array.from({ length: request.n }, () => ''), tokens: Array.from({ length: request.n }, () => []), recoveries: null, error: null }
  cluster.router.submit(request, (event: ClientEvent) => {
    if (event.kind === 'delta') {
      answer.texts[event.index] += event.text
      answer.tokens[event.index]!.push(...event.tokenIds)
    } else if (event.kind === 'finished') answer.recoveries = event.timing.recoveries
    else if (event.kind === 'failed') answer.error = event.error.message
  })
  return answer
}

const isDone = (answer: Answer): boolean => answer.recoveries !== null || answer.error !== null

for (const dtype of ['float32', 'int8'] as const) {
  test(`${dtype}: killing the engine mid-stream loses, repeats and changes no token`, async (t) => {
    const cluster = await startCluster(t, { dtype })
    const requests = Array.from({ length: 6 }, (_, index) => requestOf(index))
    const undisturbed = requests.map((request) => submit(cluster, { ...request, requestId: `calm-${request.requestId}` }))
    await until(() => undisturbed.every(isDone))
    const disturbed = requests.map((request) => submit(cluster, request))
    await until(() => disturbed.every(({ tokens }) => tokens.every((ids) => ids.length >= 8)))
    const [instance] = cluster.instances
    assert.ok(instance!.engine instanceof OnnxEngine)
    instance!.engine.kill()
    await until(() => disturbed.every(isDone))
    for (const [index, answer] of disturbed.entries()) {
      assert.equal(answer.error, null)
      assert.equal(answer.recoveries, 1)
      assert.deepEqual(answer.tokens, undisturbed[index]!.tokens)
      assert.deepEqual(answer.texts, undisturbed[index]!.texts)
    }
    assert.equal(instance!.incarnation, 2)
    await until(() => isIdle(cluster))
  })
}
