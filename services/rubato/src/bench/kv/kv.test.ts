import assert from 'node:assert/strict'
import { test } from 'node:test'
import { breakEven, prefillMs } from './break-even.ts'
import { handOffCost, isTooSlow, kvReport, renderKvReport } from './kv-report.ts'
import { measureTransfers } from './measure-transfers.ts'
import type { MeasuredTransfer } from './measure-transfers.ts'

/** A prompt token costs 1 ms, a cell 2 ms, attention nothing. */
const MODEL = { decode: { fixedMs: 1, perSequenceMs: 0, perNodeMs: 0, perContextTokenMs: 0 }, cell: { fixedMs: 2, perTokenMs: 1, perPairMs: 0 }, correctionRatio: 1 }
const SHAPE = { blockSize: 64, cellTokens: 128, blockBytes: 1_000_000 }

function measured(numBlocks: number, p50Ms: number, ratio = { ratio: 0.9, low: 0.8, high: 1 }): MeasuredTransfer {
  return { link: 'unix', numBlocks, numBytes: numBlocks * 1_000_000, p50Ms, p99Ms: p50Ms, kvBytesPerSec: 5e8, plainBytesPerSec: 6e8, ratio }
}

test('recompute costs every cell of the prompt, the last one short', () => {
  assert.equal(prefillMs(MODEL, 128, 128), 130)
  assert.equal(prefillMs(MODEL, 300, 128), 2 + 128 + 2 + 128 + 2 + 44)
  assert.equal(prefillMs(MODEL, 0, 128), 0)
})

test('break-even, by hand: 300 tokens are 5 blocks', () => {
  const row = breakEven(MODEL, SHAPE, { fixedMs: 1, transferMsPerBlock: 10, engineMsPerBlock: 2 }, 300)
  assert.deepEqual({ numBlocks: row.numBlocks, transferMs: row.transferMs, handOffMs: row.handOffMs, prefillMs: row.prefillMs }, { numBlocks: 5, transferMs: 51, handOffMs: 61, prefillMs: 306 })
  assert.equal(row.ratio, 61 / 306)
  // 5 MB in what recompute leaves: 306 - 10 - 1 ms.
  assert.equal(row.breakEvenBytesPerSec, (5_000_000 / 295) * 1000)
  assert.equal(breakEven(MODEL, SHAPE, { fixedMs: 400, transferMsPerBlock: 10, engineMsPerBlock: 2 }, 300).breakEvenBytesPerSec, null)
})

test('the cost of a hand-off is what transfers of two sizes leave', () => {
  assert.deepEqual(handOffCost([measured(10, 23), measured(1, 5)], 0.5), { fixedMs: 3, transferMsPerBlock: 2, engineMsPerBlock: 0.5 })
  assert.deepEqual(handOffCost([measured(4, 8)], 0.5), { fixedMs: 0, transferMsPerBlock: 2, engineMsPerBlock: 0.5 })
  assert.ok(handOffCost([measured(1, 5), measured(10, 4)], 0).transferMsPerBlock >= 0)
})

test('it fails only when the local socket is surely too slow for 16 blocks and more', () => {
  const slow = { ratio: 0.6, low: 0.5, high: 0.69 }
  assert.equal(isTooSlow([measured(16, 1, slow), measured(64, 1)]), true)
  assert.equal(isTooSlow([measured(16, 1), measured(8, 1, slow)]), false)
  assert.equal(isTooSlow([{ ...measured(16, 1, slow), link: 'grpc' }]), false)
  assert.equal(isTooSlow([measured(16, 1, { ...slow, high: 0.71 })]), false)
})

test('two processes move blocks, and the report has every field', async () => {
  const transfers = await measureTransfers({ blockBytes: 70_000, blockCounts: [1, 9], repeats: 2 })
  assert.deepEqual(transfers.map(({ link, numBlocks, numBytes }) => [link, numBlocks, numBytes]), [1, 9].flatMap((numBlocks) => ['unix', 'tcp', 'grpc'].map((link) => [link, numBlocks, 70_000 * numBlocks])))
  for (const { p50Ms, kvBytesPerSec, plainBytesPerSec, ratio } of transfers) {
    for (const figure of [p50Ms, kvBytesPerSec, plainBytesPerSec, ratio.ratio]) assert.ok(figure > 0 && Number.isFinite(figure))
  }
  const handOff = handOffCost(transfers, 0.1)
  const report = kvReport({ model: 'm', blockBytes: 70_000, blockSize: 64, repeats: 2, transfers, handOff, breakEvens: [breakEven(MODEL, SHAPE, handOff, 64)] })
  assert.deepEqual(Object.keys(report), ['model', 'block_bytes', 'block_size', 'repeats', 'transfers', 'mb_per_s', 'ratio', 'hand_off', 'break_even'])
  assert.equal(report.mb_per_s, report.transfers[3]!.mb_per_s)
  assert.match(renderKvReport(report), /plain TCP MB\/s/)
})
