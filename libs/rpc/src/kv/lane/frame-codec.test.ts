import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { patternBytes } from '../fixtures/offers.ts'
import { decodePayload, encodePayload, mostEncodedBytes } from './frame-codec.ts'

/** Floats as keys and values are: of either sign, most of them small. */
function kvFloats(length: number, seed: number): Float32Array<ArrayBuffer> {
  const random = seededRandom(seed)
  return Float32Array.from({ length }, () => (random.next() - 0.5) * 2 ** (random.int(12) - 8))
}

test('lossless gives back every bit, of floats, of other bytes, of any length and place', async () => {
  const seed = testSeed(21)
  const random = seededRandom(seed)
  const contents = [kvFloats(16_384, seed), kvFloats(3, seed), new Float32Array(1_000), Float32Array.of(NaN, -0, Infinity, -Infinity, 1e-45)].map(({ buffer }) => new Uint8Array(buffer))
  const odd = Array.from({ length: 20 }, (_, index) => patternBytes(1 + random.int(20_000) + 3, index).subarray(3))
  for (const bytes of [...contents, ...odd]) {
    const payload = await encodePayload(bytes, 'lossless')
    assert.ok(payload.byteLength <= mostEncodedBytes(bytes.byteLength))
    const place = new Uint8Array(bytes.byteLength + 8).subarray(5, 5 + bytes.byteLength)
    await decodePayload(payload, 'lossless', place)
    assert.deepEqual(place, new Uint8Array(bytes), `seed ${seed}, ${bytes.byteLength} bytes`)
  }
})

test('floats of keys and values take less room without loss', async () => {
  const bytes = new Uint8Array(kvFloats(65_536, 1).buffer)
  const payload = await encodePayload(bytes, 'lossless')
  assert.ok(payload.byteLength < 0.95 * bytes.byteLength, `${payload.byteLength} of ${bytes.byteLength} bytes`)
})

test('a payload that cannot be what it says is refused', async () => {
  const bytes = new Uint8Array(kvFloats(1_000, 3).buffer)
  const place = new Uint8Array(bytes.byteLength)
  const payload = await encodePayload(bytes, 'lossless')
  for (const wrong of [payload.subarray(1), payload.subarray(0, -1), payload.subarray(0, 3), new Uint8Array(0), Buffer.concat([payload, Buffer.alloc(1)])]) {
    await assert.rejects(decodePayload(wrong, 'lossless', place))
  }
  const lossless = Buffer.from(payload)
  lossless.writeUInt32LE(0xffffffff)
  await assert.rejects(decodePayload(lossless, 'lossless', place))
})
