import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BufferPool } from '../buffer-pool.ts'
import { patternBytes } from '../fixtures/offers.ts'
import { encodeHeader } from './kv-frame.ts'
import type { KvFrame } from './kv-frame.ts'
import { FrameReceiver } from './frame-receiver.ts'

const EXPECTED = { transferId: 9, epoch: { recovery: 1, hop: 2 }, numBlocks: 4, blockBytes: 100 }
const BYTES = patternBytes(400)

/** The frame of the bytes from `start` to `end`, but for what is given. */
function frame(start: number, end: number, wrong: Partial<KvFrame> = {}): Buffer {
  const whole = { ...EXPECTED, blockIndex: Math.floor(start / 100), byteOffset: start % 100, payload: BYTES.subarray(start, end), ...wrong }
  return Buffer.concat([encodeHeader(whole), whole.payload])
}

test('frames in order make the whole, wherever they are cut', () => {
  for (const cuts of [[400], [100, 200, 300, 400], [1, 99, 101, 399, 400], [250, 400]]) {
    const receiver = new FrameReceiver(EXPECTED, new BufferPool())
    let start = 0
    for (const end of cuts) {
      assert.throws(() => receiver.finish(), { code: 'kv_corrupt' })
      receiver.accept(frame(start, end))
      start = end
    }
    assert.deepEqual(receiver.finish(), BYTES)
  }
})

test('whatever is not the next frame is refused', () => {
  const wrongs: Record<string, Buffer> = {
    'a gap': frame(151, 200),
    'an overlap': frame(149, 200),
    'a duplicate': frame(100, 150),
    'a frame past the end': frame(150, 400, { payload: patternBytes(251) }),
    'a frame out of range': frame(400, 400, { payload: patternBytes(10) }),
    'an offset that is larger than a block': frame(150, 200, { blockIndex: 0, byteOffset: 150 }),
    'a frame of another transfer': frame(150, 200, { transferId: 8 }),
    'a frame of an older hop': frame(150, 200, { epoch: { recovery: 1, hop: 1 } }),
    'a frame of another recovery': frame(150, 200, { epoch: { recovery: 2, hop: 2 } }),
    'an empty frame': frame(150, 150),
    'no frame': Buffer.from('no frame'),
  }
  for (const [name, wrong] of Object.entries(wrongs)) {
    const receiver = new FrameReceiver(EXPECTED, new BufferPool())
    receiver.accept(frame(0, 150))
    assert.throws(() => receiver.accept(wrong), { code: 'kv_corrupt', retryable: true }, name)
    assert.equal(receiver.numReceivedBytes, 150)
  }
})

test('nothing is allocated for a transfer of no size', () => {
  for (const [numBlocks, blockBytes] of [[0, 100], [1.5, 100], [-1, 100], [4, 0], [Number.NaN, 1]] as const) {
    assert.throws(() => new FrameReceiver({ ...EXPECTED, numBlocks, blockBytes }, new BufferPool()), { code: 'invalid_argument' })
  }
})
