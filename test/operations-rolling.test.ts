// An upgrade of a whole cluster under load: every process is restarted, one after another, as the next minor of the protocol,
// beside those that are still of this one; and a router of the next minor is killed beside one of this.
import assert from 'node:assert/strict'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { test } from 'node:test'
import { startNatsServer } from '@rubato/testing'
import { Admin } from './support/operations/admin.ts'
import { SteadyLoad, askOf, syntheticAnswers } from './support/operations/steady-load.ts'
import { Services } from './support/processes.ts'
import type { Service } from './support/processes.ts'

const ENGINE = ['--engine', 'synthetic:10']
const NEXT_MINOR = pathToFileURL(path.join(import.meta.dirname, 'fixtures/next-minor.ts')).href
/** Beyond it something hangs, and the processes' logs are shown. */
const LIMIT = { timeout: 180_000 }
const MIN_REQUESTS = 100

test('every process is restarted under load as the next minor version, routers included: no request fails and no token differs', LIMIT, async (t) => {
  const nats = await startNatsServer(t)
  const current = new Services(t, { natsUrl: nats.url })
  const later = new Services(t, { natsUrl: nats.url, env: { NODE_OPTIONS: `--import=${NEXT_MINOR}` } })
  const startOf: Readonly<Record<string, (services: Services) => Promise<Service>>> = {
    p1: (services) => services.prefill('p1', ENGINE),
    d1: (services) => services.decode('d1', ENGINE),
    d2: (services) => services.decode('d2', ENGINE),
    r1: (services) => services.router('r1', [...ENGINE, '--placement', 'disaggregated']),
    r2: (services) => services.router('r2', [...ENGINE, '--placement', 'disaggregated']),
  }
  const running = new Map(await Promise.all(Object.entries(startOf).map(async ([name, start]) => [name, await start(current)] as const)))
  const routers = (): Service[] => ['r1', 'r2'].flatMap((name) => running.get(name) ?? [])
  const withAdmin = async (work: (admin: Admin) => Promise<void>): Promise<void> => {
    for (const router of routers()) {
      const admin = await Admin.connect(router.fields['admin']!)
      await work(admin)
      admin.close()
    }
  }
  const allServe = (): Promise<void> => withAdmin((admin) => admin.until(async () => {
    const instances = await admin.instances()
    return instances.length === 3 && instances.every(({ draining }) => !draining) && (await admin.loads()).length === 3
  }))
  await allServe()

  const load = new SteadyLoad(t, { routers: () => routers().map(({ grpc }) => grpc!), concurrency: 6, maxAttempts: 100, ask: (index) => askOf('rolling', index, { meanTokens: 200, maxTokens: 50 }) })
  const restart = async (name: string): Promise<void> => {
    const former = running.get(name)!
    running.delete(name)
    assert.equal(await former.stop(), 0, `${name} did not leave in order`)
    assert.doesNotMatch(former.log(), /requests unfinished/)
    running.set(name, await startOf[name]!(later))
    await allServe()
  }
  for (const name of ['r2', 'd1', 'p1']) await restart(name)
  const killed = running.get('r2')!
  running.delete('r2')
  killed.signal('SIGKILL')
  await killed.exited
  running.set('r2', await startOf['r2']!(later))
  for (const name of ['r1', 'd2']) await restart(name)

  const given = await load.finish(MIN_REQUESTS)
  const expected = await syntheticAnswers()
  assert.deepEqual(given.filter(({ error }) => error !== null).map(({ ask, error }) => `${ask.requestId} ${error}`), [])
  for (const { ask, tokenIds } of given) assert.deepEqual(tokenIds, expected(ask), ask.requestId)
  const sum = (count: 'numResumes' | 'numRetries'): number => given.reduce((total, one) => total + one[count], 0)
  t.diagnostic(`${given.length} requests, ${sum('numResumes')} streams resumed, ${sum('numRetries')} begun again`)
  await withAdmin((admin) => admin.until(() => admin.isIdle()))
  assert.deepEqual(await Promise.all([...running.values()].map((service) => service.stop())), [0, 0, 0, 0, 0])
})
