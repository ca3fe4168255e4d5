// Hundreds of requests of every kind at once, on a cluster of processes where each prompt's KV travels to another instance:
// each answer is that of one instance in one process, bit for bit, and afterwards nobody holds anything.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, startNatsServer, testSeed } from '@rubato/testing'
import { startCluster, until } from './support/cluster.ts'
import type { Answer } from './support/load/answer.ts'
import { assertSameAnswer } from './support/load/compare.ts'
import { mixedRequests } from './support/load/mixed-requests.ts'
import { ResumingClient } from './support/load/resuming-client.ts'
import { allEmpty, metricOf } from './support/operator.ts'
import { Services } from './support/processes.ts'
import { smallModel } from './support/small-model.ts'

const NUM_REQUESTS = 200

test('200 mixed requests at once: two prefill and two decode processes give the answers of a single instance', async (t) => {
  const seed = testSeed(20)
  t.diagnostic(`seed ${seed}`)
  const model = smallModel(t)
  const nats = await startNatsServer(t)
  const services = new Services(t, { natsUrl: nats.url, modelFlags: model.flags })
  const metered = ['--metrics-port', '0']
  const [router, ...instances] = await Promise.all([
    services.router('r1', ['--placement', 'disaggregated']), services.prefill('p1', metered), services.prefill('p2', metered), services.decode('d1', metered), services.decode('d2', metered),
  ])
  const single = await startCluster(t, model.config)
  await until(() => allEmpty(router, 4))
  const asked = mixedRequests(seededRandom(seed), { numRequests: NUM_REQUESTS, maxTokens: { least: 2, most: 40 } })
  const ask = async (doors: { readonly http: string; readonly grpc: string }): Promise<{ readonly answers: readonly Answer[]; readonly isDisturbed: boolean }> => {
    const client = new ResumingClient({ routers: () => [doors], silenceMs: null })
    const startMs = performance.now()
    const answers = await Promise.all(asked.map((request, index) => client.ask(`q${index}`, request))).finally(() => client.close())
    const { numResumes, numRetries } = client.counts
    t.diagnostic(`${asked.length} requests, ${answers.flatMap(({ counts }) => counts).reduce((sum, count) => sum + count, 0)} tokens in ${Math.round(performance.now() - startMs)} ms; ${numResumes + numRetries} came back`)
    return { answers, isDisturbed: numResumes + numRetries > 0 }
  }
  const distributed = await ask({ http: router.http!, grpc: router.grpc! })
  await until(() => allEmpty(router, 4))
  const alone = await ask({ http: `http://127.0.0.1:${single.httpPort}`, grpc: `127.0.0.1:${single.grpcPort}` })
  // A starved machine may cost the router its lease: then tokens were computed again, which only keeps them, not every bit.
  const isExact = !distributed.isDisturbed && !alone.isDisturbed
  t.diagnostic(isExact ? 'compared bit for bit' : 'a lease was lost on the way: compared by token')
  asked.forEach((request, index) => {
    const [answer, expected] = [distributed.answers[index]!, alone.answers[index]!]
    const label = `request ${index}: ${JSON.stringify(request)}`
    if (isExact) assert.deepEqual(answer.choices, expected.choices, label)
    else assertSameAnswer(answer, expected, label)
  })

  const pulled = await Promise.all(instances.map(({ fields }) => metricOf(`http://${fields['metrics']}`, 'rubato_instance_kv_transfers_total', '"pulled"')))
  t.diagnostic(`KV transfers pulled by p1, p2, d1, d2: ${pulled.join(', ')}`)
  assert.ok(pulled[2]! > 0 && pulled[3]! > 0)
  assert.deepEqual(await Promise.all([router, ...instances].map((service) => service.stop())), [0, 0, 0, 0, 0])
  for (const instance of instances) assert.doesNotMatch(instance.log(), /leaving with requests unfinished/, instance.name)
})
