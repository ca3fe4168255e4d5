// How the KV of a prompt travels from the instance that computes it: while later cells are computed, and only what is lacking.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpanRecord } from '@rubato/actor'
import { EmbeddedCluster } from '@rubato/service-rubato'
import { seededRandom, temporaryFolder, testSeed } from '@rubato/testing'
import { pino } from 'pino'
import { SpanBook } from '../services/rubato/src/bench/isolation/span-book.ts'
import { isIdle, testConfig, until } from './support/cluster.ts'

const CELL_TOKENS = 128
const BLOCK_TOKENS = 64
const PROMPT_TOKENS = 6 * CELL_TOKENS

test('blocks of a prompt are pulled while its later cells are computed, and a second prompt moves only the blocks that the first did not bring', async (t) => {
  const random = seededRandom(testSeed(41))
  t.diagnostic(`seed ${random.seed}`)
  const spans = new SpanBook()
  spans.isOn = true
  const config = testConfig(temporaryFolder(t), { numMixed: 0, numPrefill: 1, numDecode: 1, placement: 'disaggregated' })
  const onFatal = (error: Error): void => {
    throw error
  }
  const cluster = await EmbeddedCluster.start({ config, log: pino({ level: 'silent' }), version: '0.0.0', onProgress: () => {}, onFatal, tracing: spans })
  t.after(() => cluster.close(0))
  await until(() => cluster.routerActor.instances().length === 2 && cluster.router.ready())

  const spansOf = async (prompt: readonly number[]): Promise<(name: string) => SpanRecord[]> => {
    const body = { prompt, max_tokens: 3, temperature: 0, ignore_eos: true }
    const response = await fetch(`http://127.0.0.1:${cluster.httpPort}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    assert.equal(response.status, 200)
    await response.text()
    await until(() => cluster.routerActor.snapshot().models[0]!.fleet.numRunning === 0 && isIdle(cluster))
    const taken = spans.take()
    return (name) => taken.filter((span) => span.name === name).toSorted((a, b) => a.endMs - b.endMs)
  }
  const blocksOf = (transfers: readonly SpanRecord[]): number => transfers.reduce((sum, { attributes }) => sum + Number(attributes['blocks']), 0)
  const draw = (length: number): number[] => Array.from({ length }, () => 300 + random.int(600))

  const first = draw(PROMPT_TOKENS)
  const fresh = await spansOf(first)
  const [cells, transfers] = [fresh('prefill.cell'), fresh('kv.transfer')]
  assert.equal(cells.length, PROMPT_TOKENS / CELL_TOKENS)
  assert.equal(blocksOf(transfers), PROMPT_TOKENS / BLOCK_TOKENS)
  for (const [index, transfer] of transfers.slice(0, -1).entries()) assert.ok(transfer.startMs < cells.at(-1)!.endMs, `transfer ${index} waited for the end of the prompt`)

  const shared = 4 * CELL_TOKENS
  const again = await spansOf([...first.slice(0, shared), ...draw(PROMPT_TOKENS - shared)])
  assert.equal(again('prefill.cell').length, (PROMPT_TOKENS - shared) / CELL_TOKENS)
  assert.equal(blocksOf(again('kv.transfer')), (PROMPT_TOKENS - shared) / BLOCK_TOKENS)
})
