// The tests every bus passes: in-process, simulated, NATS.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Bus } from '../bus.ts'

/** A fresh bus as the contract drives it. */
export interface BusUnderTest {
  readonly bus: Bus
  /** Lets the transport run until the condition holds; rejects when it never does. */
  readonly until: (condition: () => boolean) => Promise<void>
  close(): Promise<void>
}

export interface BusSubject {
  readonly name: string
  create(): Promise<BusUnderTest> | BusUnderTest
  /** False for a transport that cannot tell whether an address has a receiver. */
  readonly knowsReceivers: boolean
}

type Case = readonly [name: string, run: (under: BusUnderTest, subject: BusSubject) => Promise<void>]

const CASES: readonly Case[] = [
  ['delivers with the sender\'s address, after send has returned', async ({ bus, until }) => {
    const received: unknown[] = []
    bus.register('b', (from, payload) => received.push([from, payload]))
    assert.equal(bus.send('a', 'b', { value: [1, 'two', null] }), 'sent')
    assert.deepEqual(received, [])
    await until(() => received.length > 0)
    assert.deepEqual(received, [['a', { value: [1, 'two', null] }]])
  }],
  ['keeps the order of each pair of addresses, each message once', async ({ bus, until }) => {
    const received = new Map<string, number[]>()
    const senders = ['s1', 's2', 's3']
    let numReceived = 0
    bus.register('to', (from, payload) => {
      numReceived += 1
      received.set(from, [...(received.get(from) ?? []), payload as number])
    })
    for (let i = 0; i < 50; i++) for (const sender of senders) bus.send(sender, 'to', i)
    await until(() => numReceived >= 150)
    const inOrder = Array.from({ length: 50 }, (_, i) => i)
    for (const sender of senders) assert.deepEqual(received.get(sender), inOrder)
  }],
  ['a receiver may answer, also to itself, and is never re-entered', async ({ bus, until }) => {
    const answers: unknown[] = []
    let depth = 0
    bus.register('echo', (from, payload) => {
      depth += 1
      assert.equal(depth, 1)
      if (payload === 'twice') bus.send('echo', 'echo', 'again')
      bus.send('echo', from === 'echo' ? 'asker' : from, payload)
      depth -= 1
    })
    bus.register('asker', (_from, payload) => answers.push(payload))
    bus.send('asker', 'echo', 'twice')
    await until(() => answers.length === 2)
    assert.deepEqual(answers, ['twice', 'again'])
  }],
  ['a closed registration receives nothing more, also not what is under way', async ({ bus, until }) => {
    const gone: unknown[] = []
    const there: unknown[] = []
    const registration = bus.register('gone', (_from, payload) => gone.push(payload))
    bus.register('there', (_from, payload) => there.push(payload))
    bus.send('a', 'gone', 1)
    registration.close()
    registration.close()
    bus.send('a', 'there', 2)
    await until(() => there.length === 1)
    bus.send('a', 'there', 3)
    await until(() => there.length === 2)
    assert.deepEqual(gone, [])
  }],
  ['an address can be taken again once it is free', async ({ bus, until }) => {
    const received: unknown[] = []
    bus.register('a', () => assert.fail('closed')).close()
    bus.register('a', (_from, payload) => received.push(payload))
    assert.throws(() => bus.register('a', () => {}), { code: 'address_taken' })
    bus.send('x', 'a', 'second')
    await until(() => received.length === 1)
    assert.deepEqual(received, ['second'])
  }],
  ['says when nobody receives', async ({ bus }, { knowsReceivers }) => {
    if (knowsReceivers) assert.equal(bus.send('a', 'nobody', 1), 'no-receiver')
    else assert.doesNotThrow(() => bus.send('a', 'nobody', 1))
  }],
]

/** Registers the contract's tests for one bus. */
export function busContract(subject: BusSubject): void {
  for (const [name, run] of CASES) {
    test(`${subject.name}: ${name}`, async () => {
      const under = await subject.create()
      try {
        await run(under, subject)
      } finally {
        await under.close()
      }
    })
  }
}
