import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { Kvm } from '@nats-io/kv'
import { connect } from '@nats-io/transport-node'
import { startNatsServer } from '@rubato/testing'
import type { Member, MemberEvent } from '../../membership.ts'
import { PROTOCOL_VERSION } from '../../protocol.ts'
import type { NatsLink } from '../connect/connect-nats.ts'
import { startMember } from '../fixtures/start-member.ts'
import { testLink, until } from '../fixtures/link.ts'
import { encodeMember } from './member-record.ts'

const server = await startNatsServer({ after })

function member(name: string, nonce = 'n1'): Member {
  return { kind: 'instance', name, address: `instance/${name}@${nonce}`, protocol: PROTOCOL_VERSION, modelFingerprint: 'f' }
}

/** Events of one member, as `joined n1`, `gone n1 expired`. */
function eventsOf(link: NatsLink, name: string): string[] {
  const events: string[] = []
  link.membership.watch((event: MemberEvent) => {
    const nonce = event.member.address.split('@')[1]
    if (event.member.name === name) events.push(event.kind === 'joined' ? `joined ${nonce}` : `gone ${nonce} ${event.reason}`)
  })
  return events
}

// Each has names of its own, and most wait for a TTL.
suite('membership over NATS', { concurrency: true }, () => {
  test('watchers hear who is there and who comes; a lease given back is gone at once', async (t) => {
    const [early, holder, late] = [await testLink(t, server.url), await testLink(t, server.url), await testLink(t, server.url)]
    const heard = eventsOf(early!, 'a')
    const lease = await holder!.membership.join(member('a'))
    await until(() => heard.length === 1)
    const heardLate = eventsOf(late!, 'a')
    await until(() => heardLate.length === 1)
    const heardAgain = eventsOf(early!, 'a')
    await lease.release()
    await lease.release()
    assert.equal(await lease.lost, 'released')
    await until(() => heard.length === 2 && heardLate.length === 2 && heardAgain.length === 2)
    for (const events of [heard, heardLate, heardAgain]) assert.deepEqual(events, ['joined n1', 'gone n1 released'])
    const next = await holder!.membership.join(member('a', 'n2'))
    await until(() => heard.length === 3)
    assert.deepEqual(heard.at(-1), 'joined n2')
    await next.release()
  })

  test('a name in use is refused after one TTL; another major at once', async (t) => {
    const [holder, other] = [await testLink(t, server.url), await testLink(t, server.url)]
    await holder!.membership.join(member('dup'))
    await assert.rejects(other!.membership.join({ ...member('v2'), protocol: '2.0' }), { code: 'protocol_mismatch' })
    const startedMs = performance.now()
    await assert.rejects(other!.membership.join(member('dup', 'n2')), { code: 'already_exists', message: /instance name dup is in use/ })
    assert.ok(performance.now() - startedMs >= 2000)
    // Names are per kind.
    await other!.membership.join({ ...member('dup', 'n3'), kind: 'router', address: 'router/dup@n3', modelFingerprint: null })
  })

  test('a member that was killed is told expired once, and its name is free for the next', async (t) => {
    const observer = await testLink(t, server.url)
    const heard = eventsOf(observer, 'killed')
    const victim = await startMember(t, server.url, 'killed')
    await until(() => heard.length === 1)
    victim.signal('SIGKILL')
    const lease = await observer.membership.join(member('killed', 'n2'))
    await until(() => heard.length === 3)
    assert.equal(heard[0], 'joined n1')
    assert.match(heard[1]!, /gone n1 (expired|replaced)/)
    assert.equal(heard[2], 'joined n2')
    await lease.release()
  })

  test('a member that was stopped finds itself fenced when it wakes, reads nothing sent to it before, and can join anew', async (t) => {
    const observer = await testLink(t, server.url)
    const heard = eventsOf(observer, 'stopped')
    const sleeper = await startMember(t, server.url, 'stopped')
    await until(() => heard.length === 1)
    observer.bus.send('router/r@1', 'instance/stopped@n1', 'before')
    await until(() => sleeper.lines.length === 2)
    sleeper.signal('SIGSTOP')
    observer.bus.send('router/r@1', 'instance/stopped@n1', 'while stopped')
    await until(() => heard.length === 2)
    sleeper.signal('SIGCONT')
    // Sent after the other, to the same connection: when it is there, the other was not let through.
    observer.bus.send('router/r@1', 'probe/stopped', 'awake')
    await until(() => sleeper.lines.length === 5 && heard.length === 3)
    assert.deepEqual(heard, ['joined n1', 'gone n1 expired', 'joined n2'])
    assert.deepEqual(sleeper.lines.slice(0, 2), ['joined n1', { received: 'before' }])
    assert.deepEqual(new Set(sleeper.lines.slice(2)), new Set([{ lost: 'fenced' }, { probed: 'awake' }, 'joined n2']))
  })

  test('who takes the lease again after it was told gone loses it', async (t) => {
    const observer = await testLink(t, server.url)
    const heard = eventsOf(observer, 'ghost.host')
    const lease = await observer.membership.join(member('ghost.host'))
    await until(() => heard.length === 1)
    await lease.release()
    await until(() => heard.length === 2)
    const raw = await connect({ servers: server.url })
    t.after(() => raw.close())
    const leases = await new Kvm(raw).open('rubato-test-leases-2000')
    await leases.put('instance.ghost=host', encodeMember(member('ghost.host')))
    let isEvicted = false
    while (!isEvicted) isEvicted = (await leases.get('instance.ghost=host'))?.operation === 'DEL'
    const stay = await observer.membership.join(member('ghost.host', 'n2'))
    await until(() => heard.length === 3)
    assert.deepEqual(heard, ['joined n1', 'gone n1 released', 'joined n2'])
    await stay.release()
  })

  test('a bucket that is deleted under everybody is made again, and nobody is lost', async (t) => {
    const [observer, holder] = [await testLink(t, server.url, { cluster: 'lab' }), await testLink(t, server.url, { cluster: 'lab' })]
    const heard = eventsOf(observer!, 'kept')
    const lease = await holder!.membership.join(member('kept'))
    await until(() => heard.length === 1)
    const raw = await connect({ servers: server.url })
    t.after(() => raw.close())
    const leases = await new Kvm(raw).open('rubato-lab-leases-2000')
    await leases.destroy()
    let isBack = false
    while (!isBack) isBack = await leases.get('instance.kept').then((entry) => entry !== null, () => false)
    assert.deepEqual(heard, ['joined n1'])
    await lease.release()
    assert.equal(await lease.lost, 'released')
    await until(() => heard.length === 2)
    assert.deepEqual(heard, ['joined n1', 'gone n1 released'])
  })
})
