import { RubatoError } from '@rubato/config'
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { sentencePieceConfig, sentencePieceTokenizer } from './fixtures/sentencepiece.ts'
import { BUNDLED_MODEL, temporaryCheckpoint } from './fixtures/temporary-checkpoint.ts'
import { loadTextModel } from './text-model.ts'
import { TextPool } from './text-pool.ts'
import type { TextPoolOptions } from './text-pool.ts'

const model = loadTextModel(BUNDLED_MODEL)
const PLAIN = { addSpecialTokens: false }
const LONG = 'Now is the winter of our discontent\n'.repeat(100)
/** Too long to be done before the lines that follow its submission, which wait for nothing but the pool. */
const ENDLESS = 'a'.repeat(1 << 18)

function openPool(context: TestContext, options: Partial<TextPoolOptions> = {}): TextPool {
  const pool = new TextPool({ model, numWorkers: 1, ...options })
  context.after(() => pool.close())
  return pool
}

/** The threads started while the test runs, by the process's own event. */
function watchWorkers(context: TestContext): Worker[] {
  const workers: Worker[] = []
  const onWorker = (worker: Worker) => workers.push(worker)
  process.on('worker', onWorker)
  context.after(() => process.off('worker', onWorker))
  return workers
}

function withCode(code: string) {
  return (error: unknown) => error instanceof RubatoError && error.code === code
}

test('short texts run inline and start no thread', async (context) => {
  const workers = watchWorkers(context)
  const pool = openPool(context)
  const ids = await pool.encode('short', PLAIN)
  assert.deepEqual(ids, model.encode('short', false))
  assert.equal(await pool.decode(ids), 'short')
  assert.deepEqual(await pool.renderAndEncode([{ role: 'user', content: 'Hi' }]), model.encode('<|user|>Hi<|endoftext|><|assistant|>', false))
  assert.equal(workers.length, 0)
})

test('long texts give the same result on a worker', async (context) => {
  const workers = watchWorkers(context)
  const pool = openPool(context, { inlineTokens: 100 })
  const ids = await pool.encode(LONG, PLAIN)
  assert.deepEqual(ids, model.encode(LONG, false))
  assert.equal(await pool.decode(ids), LONG)
  const messages = [{ role: 'user', content: LONG }]
  assert.deepEqual(await pool.renderAndEncode(messages, { addGenerationPrompt: false }), model.encode(model.renderChat(messages, { addGenerationPrompt: false }), false))
  assert.equal(workers.length, 1)
})

test('jobs spread over the workers and all come back right', async (context) => {
  const workers = watchWorkers(context)
  const pool = openPool(context, { numWorkers: 2 })
  const texts = Array.from({ length: 10 }, (_, index) => LONG + String(index))
  const results = await Promise.all(texts.map((text) => pool.encode(text, PLAIN)))
  assert.deepEqual(results, texts.map((text) => model.encode(text, false)))
  assert.equal(workers.length, 2)
})

test('refusals keep their kind and field across the thread', async (context) => {
  const pool = openPool(context)
  await assert.rejects(pool.encode(`${LONG}\ud800`, { ...PLAIN, field: 'prompt[1]' }), { name: 'InvalidArgument', field: 'prompt[1]' })
  await assert.rejects(pool.renderAndEncode([{ role: 'user', content: `${LONG}\ud800` }]), { name: 'InvalidArgument', field: 'messages[0].content' })
})

test('a value that no thread can take is refused, and the pool goes on', async (context) => {
  const pool = openPool(context)
  const variables = { tool: () => 'not cloneable' }
  await assert.rejects(pool.renderAndEncode([{ role: 'user', content: LONG }], { variables }), { name: 'InvalidArgument', field: 'messages' })
  assert.deepEqual(await pool.encode(LONG, PLAIN), model.encode(LONG, false))
})

test('a pathological text leaves the event loop free', async (context) => {
  const pool = openPool(context)
  const text = 'a'.repeat(1 << 20)
  let turns = 0
  let running = true
  const count = () => {
    turns++
    if (running) setImmediate(count)
  }
  setImmediate(count)
  const ids = await pool.encode(text, PLAIN)
  running = false
  assert.equal(model.decode(ids), text)
  assert.ok(turns > 100, `the event loop turned ${turns} times`)
})

test('more waiting jobs than the limit are refused at once', async (context) => {
  const pool = openPool(context, { maxQueued: 2 })
  const accepted = [0, 1, 2].map(() => pool.encode(LONG, PLAIN))
  await assert.rejects(pool.encode(LONG, PLAIN), (error) => withCode('resource_exhausted')(error) && (error as RubatoError).retryable)
  assert.equal((await Promise.all(accepted)).length, 3)
  assert.ok((await pool.encode(LONG, PLAIN)).length > 0)
})

test('abort frees a waiting place and settles a running job', async (context) => {
  const pool = openPool(context, { maxQueued: 1 })
  const controllers = [new AbortController(), new AbortController()] as const
  const [running, waiting] = controllers.map(({ signal }) => pool.encode(ENDLESS, { ...PLAIN, signal }))
  controllers[1].abort()
  await assert.rejects(waiting as Promise<unknown>, withCode('cancelled'))
  const next = pool.encode(LONG, PLAIN)
  controllers[0].abort()
  await assert.rejects(running as Promise<unknown>, withCode('cancelled'))
  assert.deepEqual(await next, model.encode(LONG, false))
  await assert.rejects(pool.encode('short', { ...PLAIN, signal: AbortSignal.abort() }), withCode('cancelled'))
})

test('a dead worker fails its own job once and is replaced', async (context) => {
  const workers = watchWorkers(context)
  const pool = openPool(context)
  const lost = assert.rejects(pool.encode(ENDLESS, PLAIN), (error) => withCode('internal')(error) && (error as RubatoError).retryable && /died/.test((error as Error).message))
  const waiting = pool.encode(LONG, PLAIN)
  await once(process, 'worker')
  await workers[0]?.terminate()
  await lost
  assert.deepEqual(await waiting, model.encode(LONG, false))
  assert.equal(workers.length, 2)
})

test('a job past its deadline is ended with its thread', async (context) => {
  const workers = watchWorkers(context)
  const pool = openPool(context, { deadlineMs: 1 })
  await assert.rejects(pool.encode(ENDLESS, PLAIN), withCode('deadline_exceeded'))
  await assert.rejects(pool.encode(ENDLESS, PLAIN), withCode('deadline_exceeded'))
  assert.equal(workers.length, 2)
})

test('a worker refuses files that changed since the pool was opened', async (context) => {
  const dir = temporaryCheckpoint(context, { 'tokenizer.json': sentencePieceTokenizer(), 'tokenizer_config.json': sentencePieceConfig() })
  const pool = openPool(context, { model: loadTextModel(dir) })
  writeFileSync(path.join(dir, 'tokenizer_config.json'), '{}')
  await assert.rejects(pool.encode(LONG, PLAIN), withCode('checkpoint'))
})

test('close settles everything and refuses what comes later', async (context) => {
  const pool = openPool(context)
  const jobs = [ENDLESS, LONG].map((text) => assert.rejects(pool.encode(text, PLAIN), withCode('unavailable')))
  await pool.close()
  await Promise.all(jobs)
  await assert.rejects(pool.encode('short', PLAIN), withCode('unavailable'))
})

test('idle threads do not hold the process open', () => {
  const script = `
    import { loadTextModel, TextPool } from ${JSON.stringify(path.join(import.meta.dirname, 'index.ts'))}
    const pool = new TextPool({ model: loadTextModel(${JSON.stringify(BUNDLED_MODEL)}), numWorkers: 1 })
    console.log((await pool.encode('a'.repeat(5000), { addSpecialTokens: false })).length)`
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8', timeout: 60_000 })
  assert.deepEqual({ status, stdout }, { status: 0, stdout: '5000\n' })
})
