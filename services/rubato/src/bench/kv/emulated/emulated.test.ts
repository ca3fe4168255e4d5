import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testSeed } from '@rubato/testing'
import { EMULATED_LINKS, compareControls } from './compare-controls.ts'

const seed = testSeed(11)
const rows = compareControls(seed)

for (const link of Object.keys(EMULATED_LINKS)) {
  test(`${link}: adaptation is as good as the best fixed use of the link`, () => {
    const here = rows.filter((row) => row.link === link)
    const adaptive = here.find(({ control }) => control === 'adaptive')!
    const best = here.filter((row) => row !== adaptive).reduce((most, row) => Math.max(most, row.goodputRatio), 0)
    assert.ok(adaptive.goodputRatio >= 0.95 * best, `seed ${seed}: ${adaptive.goodputRatio} of the link, the best fixed use ${best}`)
  })
}

test('nobody carries more than the link does, but for what packing saves', () => {
  for (const { link, control, goodputRatio } of rows) assert.ok(goodputRatio > 0 && goodputRatio <= (control === 'adaptive' ? 1 / 0.85 : 1), `seed ${seed}: ${link}, ${control}: ${goodputRatio}`)
})

test('packing is used where the link is slow, and nowhere else', () => {
  const packed = rows.filter(({ goodputRatio }) => goodputRatio > 1).map(({ link }) => link)
  assert.ok(packed.length > 0 && packed.every((link) => link.startsWith('100 Mbit/s')), `seed ${seed}: ${packed.join('; ')}`)
})

test('where loss leaves connections idle, more of them carry several times as much', () => {
  const on = (control: string): number => rows.find((row) => row.link === '1 Gbit/s, 10 ms, 0.1 % lost' && row.control === control)!.goodputRatio
  assert.ok(on('adaptive') >= 3 * on('1 lane, 32 MiB under way'), `seed ${seed}: ${on('adaptive')} and ${on('1 lane, 32 MiB under way')}`)
})
