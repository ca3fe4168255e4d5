// Processes that stop for longer than their lease lasts: others take them for gone, and when they wake they know it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectNats } from '@rubato/bus'
import type { MemberEvent } from '@rubato/bus'
import { startNatsServer } from '@rubato/testing'
import { until } from './support/cluster.ts'
import { Services } from './support/processes.ts'
import type { Service } from './support/processes.ts'

interface Completion {
  readonly status: number
  readonly tokens: readonly number[]
}

async function complete({ http }: Service): Promise<Completion> {
  const body = { prompt: 'PROSPERO:\n', max_tokens: 8, temperature: 0, ignore_eos: true, return_token_ids: true }
  const response = await fetch(`${http}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  const answer = (await response.json()) as { choices?: { token_ids: number[] }[] }
  return { status: response.status, tokens: answer.choices?.[0]?.token_ids ?? [] }
}

const isHealthy = async ({ http }: Service): Promise<boolean> => (await fetch(`${http}/health`)).status === 200

test('an instance and a router that were stopped past their lease come back as others, with their engine, and serve', async (t) => {
  const nats = await startNatsServer(t)
  const services = new Services(t, { natsUrl: nats.url })
  const link = await connectNats({ servers: [nats.url], cluster: 'test', name: 'observer' })
  t.after(() => link.close())
  const events: MemberEvent[] = []
  link.membership.watch((event) => events.push(event))
  const [router, decode] = await Promise.all([services.router('r1'), services.decode('d1')])
  await until(() => isHealthy(router))
  const before = await complete(router)
  assert.equal(before.status, 200)

  for (const service of [decode, router]) {
    const count = (kind: MemberEvent['kind']): number => events.filter((event) => event.kind === kind && event.member.name === service.name).length
    service.signal('SIGSTOP')
    await until(() => count('gone') === 1)
    service.signal('SIGCONT')
    await until(() => count('joined') === 2)
    const addresses = events.filter(({ kind, member }) => kind === 'joined' && member.name === service.name).map(({ member }) => member.address)
    assert.equal(new Set(addresses).size, 2)
    await until(() => isHealthy(router))
    assert.deepEqual(await complete(router), before)
  }
  assert.equal(decode.log().match(/loading the model/g)?.length, 1)
  assert.deepEqual(await Promise.all([router.stop(), decode.stop()]), [0, 0])
})
