// One process with a prefill and a decode instance: requests are handed over in memory, and nobody can tell from the tokens.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { ServeConfig } from '@rubato/config'
import type { EmbeddedCluster } from '@rubato/service-rubato'
import { temporaryFolder } from '@rubato/testing'
import { isIdle, startCluster, until } from './support/cluster.ts'

const PLAY = 'ROMEO:\nWhat say you to my suit?\n\nJULIET:\nI have no joy of this contract to-night.\n\n'
const PROMPTS = [1, 4, 9].map((times) => `${PLAY.repeat(times)}ROMEO:\n`)

async function tokensOf(cluster: EmbeddedCluster, prompt: string, index: number): Promise<unknown> {
  const body = { prompt, max_tokens: 16, temperature: 0.9, seed: 7 + index, n: index % 3 === 2 ? 3 : 1, logprobs: index % 2 === 0 ? 2 : null, ignore_eos: true, return_token_ids: true }
  const response = await fetch(`http://127.0.0.1:${cluster.httpPort}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  assert.equal(response.status, 200)
  return ((await response.json()) as { choices: unknown }).choices
}

const answersOf = (cluster: EmbeddedCluster): Promise<unknown[]> => Promise.all(PROMPTS.map((prompt, index) => tokensOf(cluster, prompt, index)))

for (const dtype of ['float32', 'int8'] as const) {
  test(`${dtype}: prompts on one instance and tokens on another are the same as both on one`, async (t: TestContext) => {
    const overrides: Partial<ServeConfig> = { dtype, kvCacheBytes: 48 * 2 ** 20, cacheDir: temporaryFolder(t) }
    const mixed = await startCluster(t, overrides)
    const pair = await startCluster(t, { ...overrides, numMixed: 0, numPrefill: 1, numDecode: 1, placement: 'disaggregated' })
    await until(() => pair.routerActor.instances().filter(({ load }) => load !== null).length === 2)
    assert.deepEqual(await answersOf(pair), await answersOf(mixed))
    const numPulled = (): number => pair.routerActor.instances().filter(({ role, load }) => role === 'decode' && (load?.pullBytesPerSec ?? 0) > 0).length
    await until(() => numPulled() === 1)
    await until(() => isIdle(pair))
  })
}
