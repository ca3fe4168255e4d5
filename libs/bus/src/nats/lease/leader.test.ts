import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startNatsServer } from '@rubato/testing'
import type { LeaseTimes } from '../../lease/lease-rules.ts'
import { testLink, until } from '../fixtures/link.ts'

/** The real proportions, faster. */
const TIMES: LeaseTimes = { ttlMs: 1000, renewEveryMs: 200, retryEveryMs: 50, fenceAfterMs: 700, graceMs: 1000, pollEveryMs: 100 }

test('one leads at a time, through a resignation and a server that restarts', async (t) => {
  const server = await startNatsServer(t)
  const links = [await testLink(t, server.url, { leaseTimes: TIMES }), await testLink(t, server.url, { leaseTimes: TIMES })]
  const elections = links.map((link, i) => link.electLeader({ role: 'migrator', candidate: `m${i}` }))
  const leaders = (): number[] => {
    const nowMs = performance.now()
    const found = elections.flatMap((election, i) => (election.isLeader(nowMs) ? [i] : []))
    assert.ok(found.length <= 1, 'two lead')
    return found
  }
  await until(() => leaders().length === 1)
  const first = leaders()[0]!
  await elections[first]!.resign()
  assert.deepEqual(leaders(), [])
  await until(() => leaders().length === 1)
  assert.deepEqual(leaders(), [1 - first])

  elections[first] = links[first]!.electLeader({ role: 'migrator', candidate: 'again' })
  await server.restart()
  await until(() => leaders().length === 0)
  await until(() => leaders().length === 1)

  // Without a server a leader stops by its own clock.
  await server.kill()
  await until(() => leaders().length === 0)
})
