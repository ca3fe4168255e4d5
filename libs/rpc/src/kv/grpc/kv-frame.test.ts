import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { loadKvTransferPackage } from '../../protos.ts'
import { patternBytes } from '../fixtures/offers.ts'
import { FRAME_HEADER_BYTES, decodeFrame, encodeHeader } from './kv-frame.ts'
import type { KvFrame } from './kv-frame.ts'

function encode(frame: KvFrame): Buffer {
  return Buffer.concat([encodeHeader(frame), frame.payload])
}

const FRAME: KvFrame = { transferId: 0xfffffffe, epoch: { recovery: 3, hop: 0xffffffff }, blockIndex: 7, byteOffset: 524_287, payload: patternBytes(300) }

test('a frame reads as it was written', () => {
  const seed = testSeed(4)
  const random = seededRandom(seed)
  const word = (): number => Math.floor(random.next() * 2 ** 32)
  for (let round = 0; round < 200; round++) {
    const frame = { transferId: word(), epoch: { recovery: word(), hop: word() }, blockIndex: word(), byteOffset: word(), payload: Buffer.from(patternBytes(random.int(20_000), round)) }
    assert.deepEqual(decodeFrame(encode(frame)), frame, `seed ${seed}`)
  }
})

test('a frame is a KvFrame of the published contract', () => {
  const { responseDeserialize } = loadKvTransferPackage().rubato.v1.KvTransfer.service.Pull
  const { magic, transferId, recovery, hop, blockIndex, byteOffset, payloadBytes, payload } = responseDeserialize(encode(FRAME))
  assert.equal(Buffer.from([magic, magic >>> 8, magic >>> 16, magic >>> 24]).toString(), 'RKV1')
  assert.deepEqual({ transferId, epoch: { recovery, hop }, blockIndex, byteOffset, payload: new Uint8Array(payload) }, FRAME)
  assert.equal(payloadBytes, 300)
})

test('one wrong bit anywhere is found', () => {
  const frame = encode(FRAME)
  for (let bit = 0; bit < frame.byteLength * 8; bit++) {
    frame[bit >> 3]! ^= 1 << (bit & 7)
    assert.ok('problem' in decodeFrame(frame), `bit ${bit}`)
    frame[bit >> 3]! ^= 1 << (bit & 7)
  }
  assert.ok(!('problem' in decodeFrame(frame)))
})

test('a frame that was cut short or lengthened is none', () => {
  const frame = encode(FRAME)
  for (let length = 0; length < frame.byteLength; length++) assert.ok('problem' in decodeFrame(frame.subarray(0, length)), `${length} bytes`)
  assert.ok('problem' in decodeFrame(Buffer.concat([frame, Buffer.alloc(1)])))
  assert.equal(encodeHeader(FRAME).byteLength, FRAME_HEADER_BYTES)
})
