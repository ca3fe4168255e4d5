import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DraftSources } from './draft-sources.ts'
import type { DraftSource } from './draft-sources.ts'

const BOTH = { local: true, remote: true }
const WORK = { numSequences: 2, levels: 4, nodes: 8 }

/** Chooses and measures many times: how often each was asked, the first 40 aside. */
function asked(sources: DraftSources, costMs: Readonly<Record<DraftSource, number>>, rounds = 1000): Record<DraftSource, number> {
  const counts = { local: 0, remote: 0 }
  for (let round = 0; round < rounds; round++) {
    const source = sources.choose(WORK, 1)
    sources.observe(source, WORK, costMs[source])
    if (round >= 40) counts[source] += 1
  }
  return counts
}

function both(): DraftSources {
  const sources = new DraftSources(4)
  sources.offer(BOTH)
  return sources
}

test('with one source there is nothing to choose', () => {
  const sources = new DraftSources(4)
  assert.equal(sources.choose(WORK, 1), 'local')
  sources.offer({ local: false, remote: true })
  assert.equal(sources.choose(WORK, 1), 'remote')
})

test('the one that measures faster is asked, the other one now and then', () => {
  for (const [cheap, dear] of [['local', 'remote'], ['remote', 'local']] as const) {
    const counts = asked(both(), cheap === 'local' ? { local: 0.8, remote: 3 } : { local: 3, remote: 0.8 })
    assert.ok(counts[cheap] > 940, `${cheap} was asked ${counts[cheap]} times`)
    assert.ok(counts[dear] >= 5 && counts[dear] <= 15, `${dear} was asked ${counts[dear]} times`)
  }
})

test('a change of what they take changes the choice', () => {
  const sources = both()
  asked(sources, { local: 0.8, remote: 3 })
  const counts = asked(sources, { local: 3, remote: 0.8 }, 3000)
  assert.ok(counts.remote > 2000, `remote was asked ${counts.remote} times of 2960`)
})

test('drafts here take longer where others use the machine', () => {
  const sources = both()
  asked(sources, { local: 1, remote: 2 })
  assert.equal(sources.choose(WORK, 1), 'local')
  assert.equal(sources.choose(WORK, 4), 'remote')
  assert.ok(sources.predictMs(WORK, 4) < 3, 'a batch loses no more than the cheaper one takes')
})

test('a speculator that is never measured is given up, and tried again when it is new', () => {
  const sources = both()
  for (let round = 0; round < 40; round++) if (sources.choose(WORK, 1) === 'local') sources.observe('local', WORK, 0.2)
  let remote = 0
  for (let round = 0; round < 200; round++) {
    const source = sources.choose(WORK, 1)
    if (source === 'remote') remote += 1
    else sources.observe('local', WORK, 0.2)
  }
  assert.ok(remote <= 2, `${remote} of 200`)
  sources.forgetRemote()
  assert.equal(sources.choose(WORK, 1), 'remote')
})

test('what a round trip takes whatever is drafted is learnt apart from what its levels take', () => {
  const sources = new DraftSources(4)
  sources.offer({ local: false, remote: true })
  for (let round = 0; round < 300; round++) {
    const levels = 1 + (round % 8)
    sources.observe('remote', { numSequences: 1, levels, nodes: levels }, 5 + 0.25 * levels)
  }
  const [one, eight] = [1, 8].map((levels) => sources.predictMs({ numSequences: 1, levels, nodes: levels }, 1)) as [number, number]
  assert.ok(Math.abs(one - 5.25) < 0.5 && Math.abs(eight - 7) < 0.5, `${one} and ${eight}`)
})
