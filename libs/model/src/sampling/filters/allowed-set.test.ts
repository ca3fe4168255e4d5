import assert from 'node:assert/strict'
import test from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { naiveAllowed, plainParams } from '../reference/naive-sampler.ts'
import { GroupMaxima } from '../row/group-maxima.ts'
import { TopScores } from '../row/top-scores.ts'
import { AllowedSet } from './allowed-set.ts'
import { isLeft } from './token-list.ts'
import type { SeededRandom } from '@rubato/testing'
import type { ScannedRow } from '../row/group-maxima.ts'
import type { Cut } from './token-list.ts'

function scannedRow(random: SeededRandom, vocabSize: number): ScannedRow {
  const spread = random.pick([0, 0.01, 1, 4, 30])
  const row = Float32Array.from({ length: vocabSize }, () => random.normal() * spread)
  if (random.next() < 0.3) for (let i = 0; i < vocabSize; i++) row[i] = Math.round(row[i]! * 4) / 4 // many ties
  if (random.next() < 0.3) row[random.int(vocabSize)] = row.reduce((a, b) => Math.max(a, b)) + random.next() * 12 // a sure token, as in text
  const maxima = new GroupMaxima(vocabSize)
  maxima.scan(row)
  return { row, maxima }
}

function idsLeft({ row }: ScannedRow, cut: Cut): number[] {
  return [...row.keys()].filter((id) => isLeft(cut, row[id]!, id))
}

function drawnOne(tokenId: number): TopScores {
  const top = new TopScores(1)
  top.reset(1)
  top.offer(tokenId, 0)
  return top
}

void test('the bounding cut leaves every allowed token, the exact cut those alone, and certain tokens are allowed', (t) => {
  const random = seededRandom(testSeed(515))
  t.diagnostic(`seed ${random.seed}`)
  const allowed = new AllowedSet()
  for (let round = 0; round < 1500; round++) {
    const vocabSize = random.pick([2, 40, 300, 1500])
    const scanned = scannedRow(random, vocabSize)
    const params = plainParams({
      temperature: random.pick([0.05, 0.7, 1, 3]),
      topP: random.pick([1, 0.999, 0.95, 0.5, 0.01]),
      topK: random.pick([0, 0, 2, 1 + random.int(vocabSize), vocabSize + 3]),
      minP: random.pick([0, 0, 0.001, 0.3]),
    })
    const matters = (id: number): boolean => weightOf(scanned, id, params.temperature) > 1e-15 // deeper down, top-k may leave more
    const expected = naiveAllowed(scanned.row, params).filter(matters).toSorted((a, b) => a - b)
    const bounding = idsLeft(scanned, allowed.boundingCut(scanned, params)).filter(matters)
    const about = `round ${round}: ${JSON.stringify(params)}`
    assert.ok(expected.every((id) => bounding.includes(id)), about)
    const certain = bounding.filter((id) => allowed.isCertain(scanned, drawnOne(id)))
    assert.ok(certain.every((id) => expected.includes(id)), about)
    if (certain.length === bounding.length) assert.deepEqual(bounding, expected, about)
    else assert.deepEqual(idsLeft(scanned, allowed.exactCut(scanned, params)).filter(matters), expected, about)
  }
})

void test('few draws need the exact cut', () => {
  const random = seededRandom(516)
  const allowed = new AllowedSet()
  const maxima = new GroupMaxima(20_000)
  const params = plainParams({ topP: 0.95 })
  let massInDoubt = 0
  for (let round = 0; round < 10; round++) {
    const row = Float32Array.from({ length: 20_000 }, () => random.normal() * 2)
    maxima.scan(row)
    const scanned = { row, maxima }
    const bounding = idsLeft(scanned, allowed.boundingCut(scanned, params))
    const weights = bounding.map((id) => weightOf(scanned, id, 1))
    const total = weights.reduce((a, b) => a + b)
    massInDoubt += weights.reduce((sum, weight, i) => (allowed.isCertain(scanned, drawnOne(bounding[i]!)) ? sum : sum + weight), 0) / total / 10
  }
  assert.ok(massInDoubt < 0.01, `mass in doubt ${massInDoubt}`)
})

function weightOf({ row, maxima }: ScannedRow, tokenId: number, temperature: number): number {
  return Math.exp((row[tokenId]! - maxima.max) / temperature)
}
