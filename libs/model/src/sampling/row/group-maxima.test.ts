import assert from 'node:assert/strict'
import test from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { GroupMaxima } from './group-maxima.ts'
import { RowEdits } from './row-edits.ts'

void test('maxima amended after edits are those of a fresh scan', (t) => {
  const random = seededRandom(testSeed(6061))
  t.diagnostic(`seed ${random.seed}`)
  for (let round = 0; round < 300; round++) {
    const vocabSize = random.pick([5, 256, 700, 2000])
    const row = Float32Array.from({ length: vocabSize }, () => Math.round(random.normal() * 20) / 4) // many ties
    if (random.next() < 0.3) row[random.int(vocabSize)] = random.pick([NaN, -Infinity, Infinity])
    const before = new GroupMaxima(vocabSize)
    before.scan(row)
    const edits = new RowEdits()
    const numEdits = random.int(random.pick([8, vocabSize]))
    for (let edit = 0; edit < numEdits; edit++) {
      const tokenId = random.next() < 0.3 ? row.indexOf(before.max) : random.int(vocabSize)
      edits.set(row, Math.max(0, tokenId), random.pick([-Infinity, row[random.int(vocabSize)]!, random.normal() * 5]))
    }
    const amended = new GroupMaxima(vocabSize)
    amended.amend(before, row, edits)
    const scanned = new GroupMaxima(vocabSize)
    scanned.scan(row)
    assert.deepEqual(amended.values, scanned.values)
    assert.equal(amended.max, scanned.max)
  }
})
