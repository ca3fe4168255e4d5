import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Member } from '../../membership.ts'
import { decodeMember, encodeMember } from './member-record.ts'

const INSTANCE: Member = { kind: 'instance', name: 'd1', address: 'instance/d1@1', protocol: '1.0', modelFingerprint: 'f' }
const SPECULATOR: Member = { kind: 'speculator', name: 's1', address: 'speculator/s1@1', protocol: '1.0', modelFingerprint: null, endpoint: '10.0.0.7:7200' }

test('a member is read as it was written', () => {
  for (const member of [INSTANCE, SPECULATOR]) assert.deepEqual(decodeMember(encodeMember(member)), member)
})

test('fields of a later version are ignored; what is no member is none', () => {
  assert.deepEqual(decodeMember(JSON.stringify({ ...INSTANCE, since: 5 })), INSTANCE)
  for (const record of ['', 'no JSON', '[]', 'null', JSON.stringify({ ...INSTANCE, kind: 'planner' }), JSON.stringify({ ...INSTANCE, name: 1 }), JSON.stringify({ ...SPECULATOR, endpoint: 7 })]) assert.equal(decodeMember(record), null, record)
})
