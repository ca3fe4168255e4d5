// Migrators as processes: one leads; it is killed, the other takes over, and a draining instance empties into the other one
// while its requests go on.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startNatsServer } from '@rubato/testing'
import { discover } from '../services/router/src/grpc/reflection-client.ts'
import { until } from './support/cluster.ts'
import { Services } from './support/processes.ts'
import type { Service } from './support/processes.ts'

const NUM_REQUESTS = 4
const MODEL_FLAGS = ['--max-model-len', '1024', '--engine', 'synthetic:12']

interface SeenLoad {
  readonly instance_id: string
  readonly num_running: number
}

type Admin = Record<'GetLoad' | 'Drain' | 'Undrain', (request: object, callback: (error: Error | null, answer: { loads: SeenLoad[] }) => void) => void>

test('a draining instance hands its running requests over, under the migrator that took over from a killed one', async (t) => {
  const nats = await startNatsServer(t)
  const services = new Services(t, { natsUrl: nats.url, modelFlags: MODEL_FLAGS })
  const migrator = (name: string): Promise<Service> => services.migrator(name, ['--metrics-port', '0'])
  const [router, d1, d2, ...migrators] = await Promise.all([services.router('r1', ['--placement', 'colocated']), services.decode('d1'), services.decode('d2'), migrator('m1'), migrator('m2')])
  const client = await discover(router.fields['admin']!, 'rubato.v1.Cluster')
  t.after(() => client.close())
  const admin = (name: keyof Admin, request: object): Promise<{ loads: SeenLoad[] }> => new Promise((resolve, reject) => {
    ;(client as unknown as Admin)[name](request, (error, answer) => (error === null ? resolve(answer) : reject(error)))
  })
  const running = async (instance: string): Promise<number> => (await admin('GetLoad', { instance })).loads[0]?.num_running ?? 0

  const leaders = async (): Promise<Service[]> => (await Promise.all(migrators.map(async (service) => ((await isLeading(service)) ? [service] : [])))).flat()
  await until(async () => (await leaders()).length === 1)
  const [first] = await leaders()
  const second = migrators.find((service) => service !== first)!
  first!.signal('SIGKILL')
  await first!.exited
  await until(() => isLeading(second))
  await until(async () => (await admin('GetLoad', {})).loads.length === 2)

  let numDone = 0
  const ask = (index: number): Promise<readonly number[]> => complete(router.http!, index).finally(() => numDone++)
  const answers = Array.from({ length: NUM_REQUESTS }, (_, index) => ask(index))
  await until(async () => await running('d1') > 0 && await running('d1') + await running('d2') === NUM_REQUESTS)
  await admin('Drain', { instance: 'd1' })
  await until(async () => await running('d1') === 0)
  assert.equal(numDone, 0, 'it was empty before any request ended')
  const moved = await Promise.all(answers)
  await admin('Undrain', { instance: 'd1' })
  await until(async () => await running('d2') === 0)
  assert.deepEqual(await Promise.all(Array.from({ length: NUM_REQUESTS }, (_, index) => ask(index))), moved, 'the tokens are those of requests that stay')
  assert.deepEqual(await Promise.all([second, router, d1, d2].map((service) => service.stop())), [0, 0, 0, 0])
})

async function isLeading(service: Service): Promise<boolean> {
  const text = await (await fetch(`http://${service.fields['metrics']}/metrics`)).text()
  return /^rubato_migrator_leading 1$/m.test(text)
}

async function complete(url: string, index: number): Promise<readonly number[]> {
  const body = { prompt: `Speak, ${'sir '.repeat(40 + 30 * index)}`, max_tokens: 300, temperature: 0.7, seed: index, ignore_eos: true, return_token_ids: true }
  const response = await fetch(`${url}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  assert.equal(response.status, 200)
  const { choices } = (await response.json()) as { choices: { token_ids: number[] }[] }
  return choices[0]!.token_ids
}
