// Taking instances out of a busy cluster, and giving them other work: no client notices.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { startNatsServer } from '@rubato/testing'
import { Admin } from './support/operations/admin.ts'
import { Services } from './support/processes.ts'
import type { Service } from './support/processes.ts'
import { SteadyLoad, askOf, syntheticAnswers } from './support/operations/steady-load.ts'
import type { Given } from './support/operations/steady-load.ts'

const ENGINE = ['--engine', 'synthetic:10']
/** Beyond it something hangs, and the processes' logs are shown. */
const LIMIT = { timeout: 150_000 }
const SHAPE = { meanTokens: 200, maxTokens: 60 }

interface Cluster {
  readonly router: Service
  readonly prefill: Service
  readonly decodes: readonly [Service, Service]
  readonly admin: Admin
}

async function startDisaggregated(t: TestContext): Promise<Cluster> {
  const nats = await startNatsServer(t)
  const services = new Services(t, { natsUrl: nats.url })
  const [router, prefill, ...decodes] = await Promise.all([
    services.router('r1', [...ENGINE, '--placement', 'disaggregated', '--dispatch', 'jsq']), services.prefill('p1', ENGINE), services.decode('d1', ENGINE), services.decode('d2', ENGINE),
  ])
  const admin = await Admin.connect(router.fields['admin']!)
  t.after(() => admin.close())
  await admin.until(async () => (await admin.loads()).length === 3)
  return { router, prefill, decodes: decodes as [Service, Service], admin }
}

async function assertAsAsked(given: readonly Given[]): Promise<void> {
  const expected = await syntheticAnswers()
  assert.deepEqual(given.filter(({ error }) => error !== null).map(({ ask, error }) => `${ask.requestId} ${error}`), [])
  for (const { ask, tokenIds } of given) assert.deepEqual(tokenIds, expected(ask), ask.requestId)
}

test('an instance is drained by its operator, and another by SIGTERM, while streams run: no request fails, and new ones go elsewhere', LIMIT, async (t) => {
  const { router, prefill, decodes: [d1, d2], admin } = await startDisaggregated(t)
  const load = new SteadyLoad(t, { routers: () => [router.grpc!], concurrency: 8, ask: (index) => askOf('drain', index, SHAPE) })
  const runsAt = async (name: string): Promise<number> => (await admin.load(name))?.num_running ?? 0
  await admin.until(async () => (await runsAt('d1')) > 0 && (await runsAt('d2')) > 0)

  await admin.drain('d1')
  await admin.until(async () => (await admin.instance('d1'))?.draining === true)
  // Pairs that had been chosen before may still reach it.
  await load.allBegunEnded()
  await admin.until(async () => (await runsAt('d1')) === 0)
  const numGiven = load.given.length
  await admin.until(async () => {
    assert.deepEqual([await runsAt('d1'), (await admin.instance('d1'))!.num_requests], [0, 0])
    return load.given.length > numGiven + 10
  })
  assert.ok((await runsAt('d2')) > 0)
  await admin.undrain('d1')
  await admin.until(async () => (await runsAt('d1')) > 0)

  const startMs = performance.now()
  assert.equal(await d2.stop(), 0)
  t.diagnostic(`a busy decode instance left ${Math.round(performance.now() - startMs)} ms after SIGTERM`)
  assert.doesNotMatch(d2.log(), /requests unfinished/)
  await admin.until(async () => load.given.length > 60 && (await runsAt('d1')) > 0)
  const given = await load.finish()
  await assertAsAsked(given)
  t.diagnostic(`${given.length} requests, none failed`)
  await admin.until(() => admin.isIdle())
  assert.deepEqual(await Promise.all([router.stop(), prefill.stop(), d1.stop()]), [0, 0, 0])
})

test('instances change their roles under load: dispatch follows, and nothing is lost', LIMIT, async (t) => {
  const { router, admin } = await startDisaggregated(t)
  const load = new SteadyLoad(t, { routers: () => [router.grpc!], concurrency: 8, ask: (index) => askOf('role', index, SHAPE) })
  const promptTokensAt = async (name: string): Promise<number> => (await admin.load(name))?.prefix_query_tokens_total ?? 0
  await admin.until(async () => (await promptTokensAt('p1')) > 0)
  assert.deepEqual([await promptTokensAt('d1'), await promptTokensAt('d2')], [0, 0])

  const startMs = performance.now()
  await admin.setRole('d1', 'ROLE_PREFILL')
  await admin.setRole('p1', 'ROLE_DECODE')
  await admin.until(async () => (await promptTokensAt('d1')) > 0)
  t.diagnostic(`the first prompt was computed at a new prefill instance ${Math.round(performance.now() - startMs)} ms after SetRole`)
  // Prompts that had been sent to the former one before.
  await load.allBegunEnded()
  const [formerTotal, newTotal] = [await promptTokensAt('p1'), await promptTokensAt('d1')]
  await admin.until(async () => (await promptTokensAt('d1')) > newTotal + 10 * SHAPE.meanTokens)
  assert.equal(await promptTokensAt('p1'), formerTotal)
  await admin.until(async () => (await admin.load('p1'))!.num_running > 0)
  assert.equal((await admin.instance('p1'))!.role, 'ROLE_DECODE')

  const given = await load.finish()
  await assertAsAsked(given)
  await admin.until(() => admin.isIdle())
})
