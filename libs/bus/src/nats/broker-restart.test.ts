import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startNatsServer } from '@rubato/testing'
import type { Member } from '../membership.ts'
import { PROTOCOL_VERSION } from '../protocol.ts'
import { testLink, until } from './fixtures/link.ts'
import { startMember } from './fixtures/start-member.ts'

function member(kind: 'router' | 'instance', name: string): Member {
  return { kind, name, address: `${kind}/${name}@n1`, protocol: PROTOCOL_VERSION, modelFingerprint: null }
}

test('a server that is killed and comes back empty costs only who died meanwhile the membership, and the others talk again', async (t) => {
  const server = await startNatsServer(t)
  const [router, instance] = [await testLink(t, server.url), await testLink(t, server.url)]
  const statuses: string[] = []
  router!.onStatus((status) => statuses.push(status))
  const received: unknown[] = []
  instance!.bus.register('instance/d1@n1', (_from, payload) => received.push(payload))
  const leases = [await router!.membership.join(member('router', 'r1')), await instance!.membership.join(member('instance', 'd1'))]
  const lost: string[] = []
  for (const lease of leases) void lease.lost.then((how) => lost.push(how))
  const victim = await startMember(t, server.url, 'victim')
  const heard: string[] = []
  router!.membership.watch((event) => heard.push(event.kind === 'joined' ? event.member.name : `${event.member.name} ${event.reason}`))
  await until(() => heard.length === 3)

  await server.kill()
  await until(() => !router!.isConnected && !instance!.isConnected)
  victim.signal('SIGKILL')
  assert.equal(router!.bus.send('router/r1@n1', 'instance/d1@n1', 'lost'), 'sent')
  await server.restart()
  await until(() => router!.isConnected && instance!.isConnected)
  await until(() => router!.bus.send('router/r1@n1', 'instance/d1@n1', 'back') === 'sent' && received.length > 0)
  assert.equal(received[0], 'back')

  // By then all deadlines of before and the grace are over.
  await until(() => heard.length > 3)
  assert.deepEqual(heard.toSorted(), ['d1', 'r1', 'victim', 'victim expired'])
  assert.deepEqual(lost, [])
  assert.deepEqual(statuses, ['disconnected', 'connected'])
  const newcomer = await testLink(t, server.url)
  const present: string[] = []
  newcomer.membership.watch((event) => present.push(event.member.address))
  await until(() => present.length === 2)
  assert.deepEqual(present.toSorted(), ['instance/d1@n1', 'router/r1@n1'])

  // Closing does not wait for a server that is not there.
  await server.kill()
  await until(() => !newcomer.isConnected)
  await Promise.all([router!.close(), instance!.close(), newcomer.close()])
  assert.deepEqual(lost, ['released', 'released'])
})
