import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Member, MemberEvent } from '@rubato/bus'
import { ScriptedMembership } from '../fixtures/scripted-membership.ts'
import { MemberDirectory } from './member-directory.ts'

const member = (kind: Member['kind'], name: string): Member => ({ kind, name, address: `${kind}/${name}@1`, protocol: '1.0', modelFingerprint: null })
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('who is there is known, and told to those who ask later', async () => {
  const membership = new ScriptedMembership()
  await membership.join(member('instance', 'd1'))
  const directory = new MemberDirectory(membership)
  await nextTurn()
  await membership.join(member('router', 'r1'))
  const heard: string[] = []
  const end = directory.subscribe(({ kind, member: { name } }: MemberEvent) => heard.push(`${kind} ${name}`))
  const lease = await membership.join(member('instance', 'd2'))
  await lease.release()
  assert.deepEqual(heard, ['joined d1', 'joined r1', 'joined d2', 'gone d2'])
  assert.deepEqual([directory.routers(), directory.instances().map(({ name }) => name)], [['router/r1@1'], ['d1']])
  end()
  await membership.join(member('instance', 'd3'))
  assert.equal(heard.length, 4)
  directory.close()
  membership.fence('d3')
  assert.deepEqual(directory.instances().map(({ name }) => name), ['d1', 'd3'])
})
