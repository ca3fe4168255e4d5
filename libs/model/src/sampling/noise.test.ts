import assert from 'node:assert/strict'
import test from 'node:test'
import { GUMBEL_MAX, GUMBEL_MIN, SequenceNoise, gumbelOf, nextNoisy, noiseBits } from './noise.ts'

const NUM_SAMPLES = 1 << 18

function keyAt(seed: number, sequence: number, position: number): readonly [number, number] {
  const noise = new SequenceNoise(seed, sequence)
  noise.moveTo(position)
  return [noise.keyA, noise.keyB]
}

function bitsAt(seed: number, sequence: number, position: number, tokenId: number): number {
  const [keyA, keyB] = keyAt(seed, sequence, position)
  return noiseBits(tokenId, keyA, keyB)
}

/** Chi-square of counts against a uniform expectation, as a normal deviate: about N(0, 1) when they are uniform. */
function deviate(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  return (chiSquare - (counts.length - 1)) / Math.sqrt(2 * (counts.length - 1))
}

/** Deviate of the joint distribution of the top four bits of pairs. */
function pairDeviate(pairAt: (i: number) => readonly [number, number]): number {
  const counts = Array.from({ length: 256 }, () => 0)
  for (let i = 0; i < NUM_SAMPLES; i++) {
    const [a, b] = pairAt(i)
    counts[(a >>> 20) * 16 + (b >>> 20)]!++
  }
  return deviate(counts)
}

void test('noise is uniform over token ids and over positions, in its top and its bottom bits', () => {
  for (const shift of [16, 8, 0]) {
    const byId = Array.from({ length: 256 }, () => 0)
    const byPosition = Array.from({ length: 256 }, () => 0)
    const [keyA, keyB] = keyAt(42, 0, 17)
    for (let i = 0; i < NUM_SAMPLES; i++) {
      byId[(noiseBits(i, keyA, keyB) >>> shift) & 255]!++
      if (i < NUM_SAMPLES / 4) byPosition[(bitsAt(42, 0, i, 99) >>> shift) & 255]!++
    }
    assert.ok(Math.abs(deviate(byId)) < 4.5, `ids, shift ${shift}: ${deviate(byId)}`)
    assert.ok(Math.abs(deviate(byPosition)) < 4.5, `positions, shift ${shift}: ${deviate(byPosition)}`)
  }
})

void test('neighbours in any one component are independent', () => {
  const split = (i: number): readonly [number, number] => [i >>> 9, i & 511]
  const deviates = {
    tokenIds: pairDeviate((i) => [bitsAt(7, 0, i >>> 9, i & 511), bitsAt(7, 0, i >>> 9, (i & 511) + 1)]),
    positions: pairDeviate((i) => {
      const [position, id] = split(i)
      return [bitsAt(7, 0, position, id), bitsAt(7, 0, position + 1, id)]
    }),
    shiftedPositions: pairDeviate((i) => {
      const [position, id] = split(i)
      return [bitsAt(7, 0, position, id + 1), bitsAt(7, 0, position + 1, id)]
    }),
    sequences: pairDeviate((i) => {
      const [position, id] = split(i)
      return [bitsAt(7, 0, position, id), bitsAt(7, 1, position, id)]
    }),
    seeds: pairDeviate((i) => {
      const [seed, id] = split(i)
      return [bitsAt(seed, 0, 3, id), bitsAt(seed + 1, 0, 3, id)]
    }),
    highSeeds: pairDeviate((i) => {
      const [seed, id] = split(i)
      return [bitsAt(seed, 0, 3, id), bitsAt(seed + 2 ** 32, 0, 3, id)]
    }),
  }
  for (const [name, value] of Object.entries(deviates)) assert.ok(Math.abs(value) < 4.5, `${name}: ${value}`)
})

void test('keys that differ in one component never collide', () => {
  const seeds = [...Array.from({ length: 4096 }, (_, i) => i), ...Array.from({ length: 4096 }, (_, i) => (i + 1) * 2 ** 32), Number.MAX_SAFE_INTEGER]
  const bySeed = new Set(seeds.map((seed) => keyAt(seed, 0, 5).join()))
  const bySequence = new Set(Array.from({ length: 4096 }, (_, i) => keyAt(9, i, 5).join()))
  const byPosition = new Set(Array.from({ length: 65536 }, (_, i) => keyAt(9, 0, i).join()))
  assert.deepEqual([bySeed.size, bySequence.size, byPosition.size], [seeds.length, 4096, 65536])
})

void test('noise values stay within the stated range and follow the Gumbel distribution', () => {
  assert.ok(GUMBEL_MIN > -2.9 && GUMBEL_MIN < -2.8)
  assert.ok(GUMBEL_MAX > 17.3 && GUMBEL_MAX < 17.4)
  const [keyA, keyB] = keyAt(3, 0, 0)
  let sum = 0
  let squares = 0
  for (let i = 0; i < NUM_SAMPLES; i++) {
    const noise = gumbelOf(noiseBits(i, keyA, keyB))
    assert.ok(noise >= GUMBEL_MIN && noise <= GUMBEL_MAX)
    sum += noise
    squares += noise * noise
  }
  const mean = sum / NUM_SAMPLES
  assert.ok(Math.abs(mean - 0.5772) < 0.01, `mean ${mean}`)
  assert.ok(Math.abs(squares / NUM_SAMPLES - mean * mean - Math.PI ** 2 / 6) < 0.03)
})

void test('the search for noisy tokens passes over none, and stops at few others', () => {
  const noise = new SequenceNoise(11, 0)
  noise.moveTo(4)
  for (const bits of [-1, 0, 255, 2 ** 23 + 77, 2 ** 24 - 1 - 2 ** 16, 2 ** 24 - 2 ** 10]) {
    let tokenId = 0
    let numSpurious = 0
    for (let expected = 0; expected < 20_000; expected++) {
      if (tokenId < expected) tokenId = nextNoisy(expected, 20_000, noise, bits)
      if (noiseBits(expected, noise.keyA, noise.keyB) > bits) assert.equal(tokenId, expected)
      else if (tokenId === expected) numSpurious++
      if (tokenId === expected) tokenId = nextNoisy(expected + 1, 20_000, noise, bits)
    }
    assert.equal(tokenId, 20_000)
    assert.ok(numSpurious <= 8, `${numSpurious} of 20,000 for ${bits}`)
  }
})
