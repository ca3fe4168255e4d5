import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { InstanceReport } from '@rubato/instance'
import { SMALL_SHAPE, expectedChoice, firstComeBatching, generateMessage } from '@rubato/testing'
import { MemoryLiveEngine } from '../fixtures/memory-live-engine.ts'
import { ScriptedMembership } from '../fixtures/scripted-membership.ts'
import { InstanceHost } from '../instance-host.ts'
import { liveBus } from '../live-bus.ts'
import { LiveShell } from '../live-shell.ts'
import { ClusterInstance } from './cluster-instance.ts'
import { LoadMonitor, MONITOR_ADDRESS } from './load-monitor.ts'
import { MemberDirectory } from './member-directory.ts'

const ROUTER = 'router/r1@1'
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn()
}

async function rigOf(t: TestContext) {
  const membership = new ScriptedMembership()
  const bus = new LoadMonitor(liveBus())
  const shell = new LiveShell({ bus })
  const directory = new MemberDirectory(membership)
  const engine = new MemoryLiveEngine()
  const reports: InstanceReport[] = []
  bus.register(ROUTER, (_, payload) => reports.push(payload as InstanceReport))
  const host = await InstanceHost.open(shell, {
    open: async () => ({ engine, batching: firstComeBatching }),
    limits: { maxNumSeqs: 8, maxNumBatchedTokens: 32 },
    enablePrefixCache: true,
    announceTo: () => [...directory.routers(), MONITOR_ADDRESS],
    onEvent: () => {},
  })
  const router = { kind: 'router', name: 'r1', address: ROUTER, protocol: '1.0', modelFingerprint: null } as const
  await membership.join(router)
  const instance = await ClusterInstance.join({ name: 'd1', host, membership, directory, monitor: bus, log: silent, onFatal: assert.fail })
  t.after(() => instance.leave())
  const addressOf = (): string => membership.joined.at(-1)!.address
  return { membership, bus, engine, reports, router, host, instance, addressOf, tokens: () => reports.flatMap((report) => (report.kind === 'tokens' ? report.runs : [])).flatMap(({ tokenIds }) => tokenIds) }
}

test('it joins under its model and is ready once it has reported', async (t) => {
  const { membership, instance } = await rigOf(t)
  assert.deepEqual([membership.joined.at(-1)!.name, membership.joined.at(-1)!.modelFingerprint], ['d1', SMALL_SHAPE.modelFingerprint])
  await until(() => instance.load !== null)
  assert.equal(instance.problem, null)
})

test('a router that joins later hears of it without asking', async (t) => {
  const { membership, bus, router } = await rigOf(t)
  const heard: InstanceReport[] = []
  const address = 'router/r2@1'
  bus.register(address, (_, payload) => heard.push(payload as InstanceReport))
  await membership.join({ ...router, name: 'r2', address })
  await until(() => heard.some(({ kind }) => kind === 'load'))
})

test('drained, it takes nothing new, finishes what it holds, and only then is empty', async (t) => {
  const { bus, engine, instance, reports, addressOf, tokens } = await rigOf(t)
  const letGo = engine.hold()
  const message = generateMessage('q1')
  bus.send(ROUTER, addressOf(), message)
  await nextTurn()
  await nextTurn()
  let isEmpty: boolean | null = null
  const drained = instance.drain(60_000).then((value) => (isEmpty = value))
  bus.send(ROUTER, addressOf(), generateMessage('q2'))
  await until(() => reports.some((report) => report.kind === 'refused' && report.reason === 'draining'))
  assert.deepEqual([isEmpty, instance.problem], [null, 'draining'])
  letGo()
  await drained
  assert.equal(isEmpty, true)
  assert.deepEqual(tokens(), expectedChoice(message, 0, SMALL_SHAPE))
})

test('what does not end within the limit is left behind', async (t) => {
  const { bus, engine, instance, addressOf } = await rigOf(t)
  const letGo = engine.hold()
  bus.send(ROUTER, addressOf(), generateMessage('q1'))
  await nextTurn()
  await nextTurn()
  assert.equal(await instance.drain(1), false)
  letGo()
})

test('fenced, it comes back under another address with nothing of what it held', async (t) => {
  const { membership, bus, instance, addressOf, tokens } = await rigOf(t)
  const first = addressOf()
  await until(() => instance.load !== null)
  membership.fence('d1')
  assert.equal(bus.send(ROUTER, first, { kind: 'hello' }), 'sent')
  await until(() => addressOf() !== first && instance.load !== null)
  assert.equal(bus.send(ROUTER, first, { kind: 'hello' }), 'no-receiver')
  const message = generateMessage('q1')
  bus.send(ROUTER, addressOf(), message)
  await until(() => tokens().length === message.sampling.maxTokens)
  assert.deepEqual(tokens(), expectedChoice(message, 0, SMALL_SHAPE))
  assert.equal(instance.problem, null)
})

test('leaving gives the name back before the engine is closed', async (t) => {
  const { membership, engine, instance } = await rigOf(t)
  await instance.leave()
  assert.deepEqual(membership.names, ['r1'])
  assert.equal(await engine.closed, null)
})
