// Joining as the broker's answers come, with no broker: what only a clock of one's own can show.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LEASE_TIMES } from '../../lease/lease-rules.ts'
import { PROTOCOL_VERSION } from '../../protocol.ts'
import { ConnectionState } from '../connection-state.ts'
import type { LeaseSurroundings } from './held-lease.ts'
import { NatsMembership } from './nats-membership.ts'

test('a process that stood still while its former lease ended asks once more before it gives the name up', async () => {
  let nowMs = 0
  const answers = [null, 7]
  const bucket = {
    snapshot: async () => ({ bucketId: 'b', keys: new Set<string>() }),
    create: async () => {
      nowMs += 5_000
      return answers.shift() ?? null
    },
    remove: async () => {},
  }
  const surroundings = { bucket: bucket as unknown as LeaseSurroundings['bucket'], state: new ConnectionState(), times: { ...LEASE_TIMES, retryEveryMs: 1 }, now: () => nowMs }
  const lease = await new NatsMembership(surroundings).join({ kind: 'instance', name: 'a', address: 'instance/a@n2', protocol: PROTOCOL_VERSION, modelFingerprint: 'f' })
  assert.deepEqual(answers, [])
  await lease.release()
})
