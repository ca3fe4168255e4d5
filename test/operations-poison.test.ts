// A request that kills whatever begins it: it is given up after a few deaths, and everybody beside it gets what they would have
// got without it. The real engine: a hook before its steps kills it, its numerics are as they are.
import assert from 'node:assert/strict'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { startNatsServer } from '@rubato/testing'
import { Admin } from './support/operations/admin.ts'
import { SteadyLoad, askOf } from './support/operations/steady-load.ts'
import type { Ask } from './support/operations/steady-load.ts'
import { Services } from './support/processes.ts'
import type { Service } from './support/processes.ts'

const POISON_HOOK = pathToFileURL(path.join(import.meta.dirname, 'fixtures/poison-token.ts')).href
const POISON_TOKEN = 999
const NUM_NEIGHBOURS = 100
/** Beyond it something hangs, and the processes' logs are shown. */
const LIMIT = { timeout: 150_000 }
const MIGRATION_LIMIT = 3
/** int8: what was emitted before a death is replayed in the shape in which it was computed, so that no bit can differ. */
const MODEL_FLAGS = ['--max-model-len', '1024', '--quantization', 'int8']

const neighbour = (index: number): Ask => askOf('neighbour', index, { meanTokens: 60, maxTokens: 16 })
const poison = (): Ask => ({ requestId: 'poison', promptIds: [300, 301, POISON_TOKEN, 302], maxTokens: 16, seed: 1 })

interface Shift {
  readonly router: Service
  readonly admin: Admin
  /** Processes that ended otherwise than in order. */
  readonly numProcessDeaths: () => number
}

async function tokensOf(t: TestContext, { router }: Shift, asks: readonly Ask[], concurrency: number): Promise<ReadonlyMap<string, readonly number[] | string>> {
  const load = new SteadyLoad(t, { routers: () => [router.grpc!], concurrency, ask: (index) => asks[index]! })
  const given = await load.finish(asks.length)
  return new Map(given.map(({ ask, tokenIds, error }) => [ask.requestId, error ?? tokenIds]))
}

/** Two instances, each started again by the test whenever it is killed, as a supervisor would. */
async function startShift(t: TestContext, kills: 'engine' | 'process'): Promise<Shift> {
  // First of the hooks: what ends from then on is not started again.
  let isOver = false
  t.after(() => void (isOver = true))
  const nats = await startNatsServer(t)
  const env = { NODE_OPTIONS: `--import=${POISON_HOOK}`, POISON_TOKEN: String(POISON_TOKEN), POISON_KILLS: kills }
  const services = new Services(t, { natsUrl: nats.url, env, modelFlags: MODEL_FLAGS })
  let numDeaths = 0
  const supervise = async (start: () => Promise<Service>): Promise<void> => {
    const service = await start()
    void service.exited.then(async (code) => {
      if (isOver || code === 0) return
      numDeaths++
      await supervise(start)
    })
  }
  const router = await services.router('r1', ['--migration-limit', String(MIGRATION_LIMIT)])
  for (const name of ['d1', 'd2']) await supervise(() => services.decode(name))
  const admin = await Admin.connect(router.fields['admin']!)
  t.after(() => admin.close())
  await admin.until(async () => (await admin.loads()).length === 2)
  return { router, admin, numProcessDeaths: () => numDeaths }
}

const neighbours = Array.from({ length: NUM_NEIGHBOURS }, (_, index) => neighbour(index))
/** Of the neighbours, by the first cluster before anything died there. */
let undisturbed: ReadonlyMap<string, readonly number[] | string> | null = null

for (const kills of ['engine', 'process'] as const) {
  test(`a request whose first step kills the ${kills} is quarantined within the limit, and 100 others get the tokens of an undisturbed run`, LIMIT, async (t) => {
    const shift = await startShift(t, kills)
    undisturbed ??= await tokensOf(t, shift, neighbours, 16)
    const engines = async (): Promise<number> => (await shift.admin.instances()).reduce((sum, { incarnation }) => sum + Number(incarnation), 0)
    const before = await engines()

    const [beside, given] = await Promise.all([tokensOf(t, shift, neighbours, 16), tokensOf(t, shift, [poison()], 1)])
    assert.match(String(given.get('poison')), /^INTERNAL: .*not tried again/)
    assert.ok([...undisturbed.values()].every((tokenIds) => tokenIds.length === 16))
    for (const { requestId } of neighbours) assert.deepEqual(beside.get(requestId), undisturbed.get(requestId), requestId)
    await shift.admin.until(async () => (await shift.admin.loads()).length === 2 && (await shift.admin.isIdle()))
    const numDeaths = kills === 'engine' ? (await engines()) - before : shift.numProcessDeaths()
    t.diagnostic(`${numDeaths} deaths of the ${kills}`)
    assert.ok(numDeaths >= 1 && numDeaths <= MIGRATION_LIMIT, `${numDeaths} deaths`)
  })
}
