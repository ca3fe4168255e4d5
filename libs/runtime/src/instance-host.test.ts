import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { Bus } from '@rubato/bus'
import type { GenerateMessage, InstanceReport, LoadMessage } from '@rubato/instance'
import { SMALL_SHAPE, expectedChoice, firstComeBatching, generateMessage } from '@rubato/testing'
import { MemoryLiveEngine } from './fixtures/memory-live-engine.ts'
import { InstanceHost } from './instance-host.ts'
import type { InstanceEvent } from './instance-host.ts'
import { liveBus } from './live-bus.ts'
import { LiveShell } from './live-shell.ts'

const ROUTER = 'router/r1'
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn()
}

class Rig {
  readonly bus: Bus = liveBus()
  readonly engines: MemoryLiveEngine[] = []
  readonly events: InstanceEvent[] = []
  readonly reports: InstanceReport[] = []
  host!: InstanceHost

  async open(t: TestContext): Promise<this> {
    const shell = new LiveShell({ bus: this.bus })
    this.bus.register(ROUTER, (_, payload) => this.reports.push(payload as InstanceReport))
    this.host = await InstanceHost.open(shell, {
      open: async () => {
        this.engines.push(new MemoryLiveEngine())
        return { engine: this.engines.at(-1)!, batching: firstComeBatching }
      },
      limits: { maxNumSeqs: 8, maxNumBatchedTokens: 32 },
      enablePrefixCache: true,
      announceTo: () => [ROUTER],
      onEvent: (event) => this.events.push(event),
    })
    t.after(() => this.host.stop())
    return this
  }

  loads(): LoadMessage[] {
    return this.reports.filter((report): report is LoadMessage => report.kind === 'load')
  }

  tokensOf({ requestId }: GenerateMessage): number[] {
    return this.reports.flatMap((report) => (report.kind === 'tokens' ? report.runs : [])).filter((run) => run.requestId === requestId).flatMap(({ tokenIds }) => tokenIds)
  }

  async generate(address: string, message: GenerateMessage): Promise<void> {
    this.bus.send(ROUTER, address, message)
    const expected = expectedChoice(message, 0, SMALL_SHAPE)
    await until(() => this.tokensOf(message).length === expected.length)
    assert.deepEqual(this.tokensOf(message), expected)
  }
}

test('without an identity nobody is reachable; with one the instance announces itself and serves', async (t) => {
  const rig = await new Rig().open(t)
  assert.equal(rig.bus.send(ROUTER, 'instance/a@1', { kind: 'hello' }), 'no-receiver')
  await rig.host.serveAs({ instanceId: 'a@1', address: 'instance/a@1' })
  await until(() => rig.loads().length === 1)
  assert.deepEqual([rig.loads()[0]!.instanceId, rig.loads()[0]!.incarnation], ['a@1', 1])
  await rig.generate('instance/a@1', generateMessage('q1'))
})

test('suspended in the middle of a request it forgets everything, keeps its engine, and serves on under a new address', async (t) => {
  const rig = await new Rig().open(t)
  await rig.host.serveAs({ instanceId: 'a@1', address: 'instance/a@1' })
  const [engine] = rig.engines
  const letGo = engine!.hold()
  const lost = generateMessage('q1')
  rig.bus.send(ROUTER, 'instance/a@1', lost)
  await nextTurn()
  await nextTurn()
  const suspended = rig.host.suspend()
  assert.equal(rig.host.isServing, false)
  letGo()
  await suspended
  assert.equal(engine!.executed.at(-1), 'reset')
  assert.equal(rig.bus.send(ROUTER, 'instance/a@1', { kind: 'hello' }), 'no-receiver')
  assert.deepEqual(rig.tokensOf(lost), [])
  await rig.host.serveAs({ instanceId: 'a@2', address: 'instance/a@2' })
  await rig.generate('instance/a@2', generateMessage('q2', { promptLen: 30 }))
  assert.equal(rig.engines.length, 1)
  assert.deepEqual(rig.loads().at(-1)!.incarnation, 2)
})

test('an engine that dies is replaced under the same address; draining and role hold for the next incarnation', async (t) => {
  const rig = await new Rig().open(t)
  await rig.host.serveAs({ instanceId: 'a@1', address: 'instance/a@1' })
  rig.bus.send(ROUTER, 'instance/a@1', { kind: 'set-role', role: 'decode' })
  rig.host.tell('process/self', { kind: 'drain' })
  await until(() => rig.loads().some(({ draining, role }) => draining && role === 'decode'))
  rig.engines[0]!.kill()
  await until(() => rig.host.incarnation === 2)
  await until(() => rig.loads().some(({ incarnation, draining, role }) => incarnation === 2 && draining && role === 'decode'))
  assert.deepEqual(rig.events.map(({ kind }) => kind), ['started', 'engine-died', 'started'])
})

test('an engine that dies while suspended is replaced, and nobody serves before the next identity', async (t) => {
  const rig = await new Rig().open(t)
  await rig.host.serveAs({ instanceId: 'a@1', address: 'instance/a@1' })
  await rig.host.suspend()
  rig.engines[0]!.kill()
  await until(() => rig.engines.length === 2)
  assert.equal(rig.host.isServing, false)
  await rig.host.serveAs({ instanceId: 'a@2', address: 'instance/a@2' })
  await rig.generate('instance/a@2', generateMessage('q1'))
})
