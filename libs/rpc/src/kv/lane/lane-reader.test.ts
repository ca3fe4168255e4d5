import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { patternBytes } from '../fixtures/offers.ts'
import { KEY_BYTES, LANE_HEADER_BYTES, encodeLaneHeader } from './lane-message.ts'
import type { LaneHeader } from './lane-message.ts'
import { LaneReader } from './lane-reader.ts'

interface Taken {
  readonly header: LaneHeader
  readonly payload: Uint8Array
}

function collecting(): { readonly reader: LaneReader; readonly taken: Taken[] } {
  const taken: Taken[] = []
  const reader = new LaneReader({ placeFor: ({ payloadBytes }) => new Uint8Array(payloadBytes), onMessage: (header, payload) => taken.push({ header, payload: payload.slice() }) })
  return { reader, taken }
}

test('messages are what was sent, however the stream is cut, copied in or read in place', () => {
  const seed = testSeed(11)
  const random = seededRandom(seed)
  const sent = Array.from({ length: 40 }, (_, index) => ({ payload: patternBytes(index % 3 === 0 ? 0 : random.int(5_000), index), transferId: random.int(2 ** 31), firstByte: random.int(2 ** 31) * 1000 }))
  const stream = Buffer.concat(sent.flatMap(({ payload, transferId, firstByte }) => [encodeLaneHeader('frame', transferId, { firstByte, numBytes: 7, payloadBytes: payload.byteLength }), payload]))
  for (let round = 0; round < 20; round++) {
    const { reader, taken } = collecting()
    for (let at = 0; at < stream.byteLength; ) {
      const piece = stream.subarray(at, at + 1 + random.int(3_000))
      if (round % 2 === 0) {
        reader.feed(piece)
        at += piece.byteLength
        continue
      }
      const { space } = reader
      const numBytes = Math.min(space.byteLength, piece.byteLength)
      space.set(piece.subarray(0, numBytes))
      reader.advance(numBytes)
      at += numBytes
    }
    assert.deepEqual(taken.map(({ header, payload }) => ({ payload, transferId: header.transferId, firstByte: header.firstByte })), sent, `seed ${seed}, round ${round}`)
  }
})

test('every field of a header comes back', () => {
  const { reader, taken } = collecting()
  const fields = { key: patternBytes(KEY_BYTES), payloadBytes: 0, checksum: 0xfedcba98, firstByte: 2 ** 47, numBytes: 2 ** 32 - 1, encoding: 'lossless', flag: true, encodeMicros: 12_345 } as const
  reader.feed(encodeLaneHeader('want', 0xffffffff, fields))
  const { key, ...rest } = taken[0]!.header
  assert.deepEqual({ ...rest, key: new Uint8Array(key) }, { kind: 'want', transferId: 0xffffffff, ...fields })
})

test('one wrong bit in a header ends the lane', () => {
  const right = encodeLaneHeader('end', 9, { key: patternBytes(KEY_BYTES), flag: true })
  for (let bit = 0; bit < 8 * LANE_HEADER_BYTES; bit++) {
    const wrong = Buffer.from(right)
    wrong[bit >> 3]! ^= 1 << (bit & 7)
    const { reader, taken } = collecting()
    assert.throws(() => reader.feed(wrong), `bit ${bit}`)
    assert.equal(taken.length, 0)
  }
})
