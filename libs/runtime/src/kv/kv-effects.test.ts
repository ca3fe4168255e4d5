// Both ports through a live shell, over every transport: each outcome an actor can be told of.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CancelEffect, Effect, EffectTable, Outcome } from '@rubato/actor'
import type { KvPulled, KvPullEffect, KvServeEffect } from '@rubato/instance'
import type { EngineCommand, EngineResult } from '@rubato/model'
import { createKvTransport, memoryKvLink } from '@rubato/rpc'
import type { KvTransport } from '@rubato/rpc'
import { ProbeActor, SMALL_SHAPE } from '@rubato/testing'
import { liveBus } from '../live-bus.ts'
import { LiveShell } from '../live-shell.ts'
import type { LiveActor } from '../live-shell.ts'
import { kvEffects } from './kv-effects.ts'
import type { KvEffectLimits, KvEffectsOptions } from './kv-effects.ts'

type TestEngine = KvEffectsOptions['engine']

/** What the engine was asked for in this test. */
const blocksRead: (readonly number[])[] = []

/** Block `id` holds the byte `id`, over and over. */
const ENGINE: TestEngine = {
  shape: SMALL_SHAPE,
  execute: (command: EngineCommand): Promise<EngineResult> => {
    assert.ok(command.kind === 'export-blocks')
    blocksRead.push(command.blockIds)
    const bytes = new Uint8Array(command.blockIds.length * SMALL_SHAPE.blockBytes)
    command.blockIds.forEach((id, place) => bytes.fill(id, place * SMALL_SHAPE.blockBytes, (place + 1) * SMALL_SHAPE.blockBytes))
    return Promise.resolve({ kind: 'export-blocks', bytes })
  },
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Whether the stuck engine was asked for blocks in this test. */
let hasBegunToRead = false

class Instance {
  readonly probe = new ProbeActor()
  readonly transport: KvTransport
  readonly actor: LiveActor

  constructor(shell: LiveShell, address: string, transport: KvTransport, effects: EffectTable) {
    this.transport = transport
    this.actor = shell.spawn({ address, factory: () => ({ actor: this.probe, effects }) })
  }

  perform(...effects: readonly Effect[]): void {
    this.actor.deliver('test/outside', { effects })
  }

  serve(token: string, blockIds: readonly number[]): KvServeEffect {
    return { kind: 'kv-serve', id: this.probe.ids.next(), token, requestId: 'r1', epoch: { recovery: 0, hop: 1 }, blockIds }
  }

  pull(from: Instance, token: string, numBlocks: number): KvPullEffect {
    return { kind: 'kv-pull', id: this.probe.ids.next(), kvAddress: from.transport.kvAddress, token, requestId: 'r1', epoch: { recovery: 0, hop: 1 }, numBlocks }
  }

  cancel(target: Effect): CancelEffect {
    return { kind: 'cancel', id: this.probe.ids.next(), target: target.id }
  }

  /** The one outcome of the effect. */
  async outcome({ id }: Effect): Promise<Outcome> {
    while (this.probe.outcomesOf(id).length === 0) await nextTurn()
    assert.equal(this.probe.outcomesOf(id).length, 1)
    return this.probe.outcomesOf(id)[0]!
  }

  async failure(effect: Effect): Promise<string> {
    const outcome = await this.outcome(effect)
    assert.ok(outcome.kind === 'failed', `${effect.kind} ended ${outcome.kind}`)
    assert.equal(outcome.error.retryable, true)
    return outcome.error.code
  }
}

type Case = readonly [name: string, run: (source: Instance, destination: Instance) => Promise<void>, options?: { readonly engine?: TestEngine; readonly limits?: KvEffectLimits }]

const STUCK: TestEngine = { ...ENGINE, execute: () => new Promise(() => {}) }
const BROKEN: TestEngine = { ...ENGINE, execute: () => Promise.reject(new Error('the engine is gone')) }

const CASES: readonly Case[] = [
  ['done on both sides: the blocks asked for, in their order', async (source, destination) => {
    const serve = source.serve('t1', [7, 3, 9])
    source.perform(serve)
    const pull = destination.pull(source, 't1', 3)
    destination.perform(pull)
    const outcome = await destination.outcome(pull)
    assert.ok(outcome.kind === 'done')
    const { bytes, transferMs, bytesPerSec } = outcome.value as KvPulled
    assert.deepEqual([0, 1, 2].map((place) => bytes[place * SMALL_SHAPE.blockBytes]), [7, 3, 9])
    assert.equal(bytes.byteLength, 3 * SMALL_SHAPE.blockBytes)
    assert.ok(transferMs >= 0 && bytesPerSec > 0)
    assert.deepEqual(await source.outcome(serve), { kind: 'done', value: undefined })
  }],
  ['kv-serve cancelled: the token is withdrawn before cancel returns', async (source, destination) => {
    const serve = source.serve('t1', [1])
    source.perform(serve)
    source.perform(source.cancel(serve))
    const pull = destination.pull(source, 't1', 1)
    destination.perform(pull)
    assert.equal(await destination.failure(pull), 'kv_refused')
    assert.equal((await source.outcome(serve)).kind, 'cancelled')
  }],
  ['kv-serve cancelled while it is sent: the pull fails, and the late end changes nothing', async (source, destination) => {
    const serve = source.serve('t1', [1])
    source.perform(serve)
    const pull = destination.pull(source, 't1', 1)
    destination.perform(pull)
    while (!hasBegunToRead) await nextTurn()
    source.perform(source.cancel(serve))
    assert.equal(await destination.failure(pull), 'kv_link_failed')
    assert.equal((await source.outcome(serve)).kind, 'cancelled')
  }, { engine: { ...ENGINE, execute: () => ((hasBegunToRead = true), new Promise(() => {})) }, limits: { readAheadBytes: 0 } }],
  ['blocks are read when they are offered, up to the limit, and then when they are pulled', async (source, destination) => {
    const serves = [source.serve('t1', [1, 2]), source.serve('t2', [3]), source.serve('t3', [4])]
    source.perform(...serves)
    assert.deepEqual(blocksRead, [[1, 2]])
    const pull = destination.pull(source, 't2', 1)
    destination.perform(pull)
    assert.equal((await destination.outcome(pull)).kind, 'done')
    assert.deepEqual(blocksRead, [[1, 2], [3]])
    source.perform(source.cancel(serves[0]!), source.cancel(serves[2]!))
    for (const serve of serves) await source.outcome(serve)
    const last = source.serve('t4', [5])
    source.perform(last)
    assert.deepEqual(blocksRead.at(-1), [5])
    source.perform(source.cancel(last))
    await source.outcome(last)
  }, { limits: { readAheadBytes: 2 * SMALL_SHAPE.blockBytes } }],
  ['kv-pull cancelled: its source is told that nobody pulled', async (source, destination) => {
    const serve = source.serve('t1', [1])
    source.perform(serve)
    const pull = destination.pull(source, 't1', 1)
    destination.perform(pull)
    destination.perform(destination.cancel(pull))
    assert.equal((await destination.outcome(pull)).kind, 'cancelled')
    source.perform(source.cancel(serve))
    assert.ok(['cancelled', 'failed'].includes((await source.outcome(serve)).kind))
  }, { engine: STUCK }],
  ['failed: the engine cannot read the blocks', async (source, destination) => {
    const serve = source.serve('t1', [1])
    source.perform(serve)
    const pull = destination.pull(source, 't1', 1)
    destination.perform(pull)
    assert.equal(await destination.failure(pull), 'kv_link_failed')
    assert.equal(await source.failure(serve), 'kv_not_pulled')
  }, { engine: BROKEN }],
  ['kv-pull failed: wrong token, then another number of blocks; the offer is still there for the right one', async (source, destination) => {
    const serve = source.serve('t1', [1, 2])
    source.perform(serve)
    for (const wrong of [destination.pull(source, 't2', 2), destination.pull(source, 't1', 1), { ...destination.pull(source, 't1', 2), requestId: 'r2' }]) {
      destination.perform(wrong)
      assert.equal(await destination.failure(wrong), 'kv_refused')
    }
    const right = destination.pull(source, 't1', 2)
    destination.perform(right)
    assert.equal((await destination.outcome(right)).kind, 'done')
    assert.equal((await source.outcome(serve)).kind, 'done')
  }],
  ['rejected: over the limit of either kind; one that ended makes room', async (source, destination) => {
    const [first, second, third] = [source.serve('t1', [1]), source.serve('t2', [2]), source.serve('t3', [3])]
    source.perform(first, second)
    assert.equal((await source.outcome(second)).kind, 'rejected')
    const [pull, over] = [destination.pull(source, 't1', 1), destination.pull(source, 't1', 1)]
    destination.perform(pull, over)
    assert.equal((await destination.outcome(over)).kind, 'rejected')
    assert.equal((await destination.outcome(pull)).kind, 'done')
    await source.outcome(first)
    source.perform(third)
    source.perform(source.cancel(third))
    assert.equal((await source.outcome(third)).kind, 'cancelled')
  }, { limits: { serve: 1, pull: 1 } }],
  ['a stopped actor takes its offers back', async (source, destination) => {
    source.perform(source.serve('t1', [1]))
    await source.actor.stop()
    const pull = destination.pull(source, 't1', 1)
    destination.perform(pull)
    assert.equal(await destination.failure(pull), 'kv_refused')
  }],
]

type OpenTransports = () => Promise<readonly [KvTransport, KvTransport]>

const TRANSPORTS: Readonly<Record<string, OpenTransports>> = {
  memory: () => {
    const link = memoryKvLink()
    return Promise.resolve([link.join('a'), link.join('b')])
  },
  gRPC: () => {
    const open = (): Promise<KvTransport> => createKvTransport({ host: '127.0.0.1', port: 0, advertiseAddress: null, tls: null })
    return Promise.all([open(), open()])
  },
}

for (const [transport, open] of Object.entries(TRANSPORTS)) {
  for (const [name, run, { engine = ENGINE, limits = {} } = {}] of CASES) {
    test(`${transport}: ${name}`, async () => {
      hasBegunToRead = false
      blocksRead.length = 0
      const shell = new LiveShell({ bus: liveBus() })
      const transports = await open()
      const [source, destination] = transports.map((each, index) => new Instance(shell, `instance/${index}`, each, kvEffects({ transport: each, engine, limits })))
      try {
        await run(source!, destination!)
      } finally {
        await Promise.all(transports.map((each) => each.close()))
        assert.deepEqual(await shell.stop(), { numUnsettled: 0 })
      }
    })
  }
}
