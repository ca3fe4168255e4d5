// A cluster as users run it: nats-server, one router, one prefill and one decode instance, each a process of its own.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startNatsServer } from '@rubato/testing'
import { discover } from '../services/router/src/grpc/reflection-client.ts'
import { startCluster, until } from './support/cluster.ts'
import { Services } from './support/processes.ts'

const PROMPT = `${'ROMEO:\nWhat say you to my suit?\n\nJULIET:\nI have no joy of this contract to-night.\n\n'.repeat(8)}ROMEO:\n`
const REQUEST = { prompt: PROMPT, max_tokens: 40, temperature: 0.8, seed: 11, n: 2, ignore_eos: true, return_token_ids: true }

interface Answer {
  readonly choices: readonly { readonly token_ids: readonly number[]; readonly text: string }[]
}

async function complete(url: string): Promise<Answer> {
  const response = await fetch(`${url}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(REQUEST) })
  assert.equal(response.status, 200)
  return (await response.json()) as Answer
}

async function generate(address: string): Promise<{ readonly tokens: readonly number[]; readonly cached: number }> {
  const client = await discover(address, 'rubato.v1.Inference')
  const call = client as unknown as Record<'Generate', (request: object) => AsyncIterable<{ token_ids?: number[]; usage?: Record<string, number> | null }>>
  const tokens: number[] = []
  let cached = 0
  for await (const message of call.Generate({ prompt: PROMPT, sampling: { max_tokens: 40, temperature: 0.8, seed: 11, ignore_eos: true } })) {
    tokens.push(...(message.token_ids ?? []))
    cached = message.usage?.['cached_tokens'] ?? cached
  }
  client.close()
  return { tokens, cached }
}

const healthy = async (url: string): Promise<boolean> => (await fetch(`${url}/health`)).status === 200

test('three processes over NATS and gRPC, and one with all parts, give the tokens of a single instance, and each ends with 0 on SIGTERM', async (t) => {
  const nats = await startNatsServer(t)
  const services = new Services(t, { natsUrl: nats.url })
  const [router, prefill, decode, one] = await Promise.all([
    services.router('r1', ['--placement', 'disaggregated']), services.prefill('p1', ['--metrics-port', '0']), services.decode('d1', ['--metrics-port', '0']),
    services.serve('s1', ['--nats', nats.url, '--cluster', 'other', '--instance-id', 's1', '--prefill', '1', '--decode', '1', '--placement', 'disaggregated']),
  ])
  const embedded = await startCluster(t)
  await until(() => metricOf(router.http!, 'rubato_cluster_instances', 'serving').then((sum) => sum === 2))
  assert.ok(await healthy(router.http!))
  for (const instance of [prefill, decode]) assert.ok(await healthy(`http://${instance.fields['metrics']}`))

  const alone = await complete(`http://127.0.0.1:${embedded.httpPort}`)
  assert.deepEqual((await complete(router.http!)).choices, alone.choices)
  assert.deepEqual((await complete(one.http!)).choices, alone.choices)
  const streamed = await generate(router.grpc!)
  assert.deepEqual(streamed.tokens, alone.choices[0]!.token_ids)
  assert.ok(await metricOf(`http://${decode.fields['metrics']}`, 'rubato_instance_kv_transferred_bytes_total', 'pulled') > 0)

  assert.deepEqual(await Promise.all([router.stop(), prefill.stop(), decode.stop(), one.stop()]), [0, 0, 0, 0])
})

/** Sum of a family's samples whose labels hold the word. */
async function metricOf(url: string, family: string, word: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const samples = text.split('\n').filter((line) => line.startsWith(`${family}{`) && line.includes(`"${word}"`))
  return samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
