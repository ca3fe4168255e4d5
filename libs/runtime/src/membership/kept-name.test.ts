import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RubatoError } from '@rubato/config'
import { ScriptedMembership } from '../fixtures/scripted-membership.ts'
import { KeptName } from './kept-name.ts'

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

class Rig {
  readonly membership = new ScriptedMembership()
  readonly said: string[] = []
  readonly fatal: string[] = []

  take(): Promise<KeptName> {
    return KeptName.take({
      membership: this.membership,
      member: { kind: 'instance', name: 'd1', protocol: '1.0', modelFingerprint: 'f' },
      log: silent,
      onHeld: ({ address }) => void this.said.push(`held ${address}`),
      onLost: () => void this.said.push('lost'),
      onFatal: (error) => this.fatal.push(error.message),
    })
  }
}

test('a name is held under an address of its own, until it is given back', async () => {
  const rig = new Rig()
  const name = await rig.take()
  const { address } = rig.membership.joined[0]!
  assert.match(address, /^instance\/d1@[0-9a-f]+$/)
  assert.deepEqual(rig.said, [`held ${address}`])
  await name.leave()
  await name.leave()
  assert.deepEqual([rig.membership.names, rig.said.length, rig.fatal], [[], 1, []])
})

test('fenced, what acts under the name ends before it is held again, under another address', async () => {
  const rig = new Rig()
  const name = await rig.take()
  for (const stay of [1, 2, 3]) {
    rig.membership.fence('d1')
    while (rig.membership.joined.length === stay) await nextTurn()
    await nextTurn()
  }
  const addresses = rig.membership.joined.map(({ address }) => address)
  assert.equal(new Set(addresses).size, 4)
  assert.deepEqual(rig.said, addresses.flatMap((address, index) => [...(index === 0 ? [] : ['lost']), `held ${address}`]))
  await name.leave()
  assert.deepEqual(rig.membership.names, [])
})

test('a name that somebody else has by now is given up', async () => {
  const rig = new Rig()
  await rig.take()
  rig.membership.refusals.push(new RubatoError('already_exists', 'the name d1 is in use'))
  rig.membership.fence('d1')
  while (rig.fatal.length === 0) await nextTurn()
  assert.deepEqual([rig.fatal, rig.said.at(-1)], [['the name d1 is in use'], 'lost'])
})

test('a broker that does not answer is asked again', async () => {
  const rig = new Rig()
  const name = await rig.take()
  rig.membership.refusals.push(new RubatoError('nats_unavailable', 'no answer', { retryable: true }))
  rig.membership.fence('d1')
  while (rig.membership.joined.length < 2) await nextTurn()
  assert.deepEqual(rig.fatal, [])
  await name.leave()
})

test('leaving while rejoining ends the attempts', async () => {
  const rig = new Rig()
  const name = await rig.take()
  rig.membership.refusals.push(...Array.from({ length: 99 }, () => new RubatoError('nats_unavailable', 'no answer', { retryable: true })))
  rig.membership.fence('d1')
  while (rig.membership.refusals.length === 99) await nextTurn()
  await name.leave()
  assert.equal(rig.membership.joined.length, 1)
})

test('a first join that is refused is the caller\'s to handle', async () => {
  const rig = new Rig()
  rig.membership.refusals.push(new RubatoError('already_exists', 'in use'))
  await assert.rejects(rig.take(), { code: 'already_exists' })
  assert.deepEqual(rig.said, [])
})
