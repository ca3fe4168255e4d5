import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idleLoad } from '@rubato/testing'
import { liveBus } from '../live-bus.ts'
import { LoadMonitor, MONITOR_ADDRESS, holdsNothing } from './load-monitor.ts'

test('reports to the monitor are kept while their sender is registered, and go nowhere else', async () => {
  const monitor = new LoadMonitor(liveBus())
  const registration = monitor.register('instance/a', () => {})
  const next = monitor.nextReport(new AbortController().signal)
  const load = idleLoad('a')
  assert.equal(monitor.send('instance/a', MONITOR_ADDRESS, load), 'sent')
  await next
  assert.equal(monitor.loadOf('instance/a'), load)
  monitor.send('instance/a', MONITOR_ADDRESS, { kind: 'gone' })
  assert.equal(monitor.loadOf('instance/a'), load)
  assert.equal(monitor.send('instance/a', 'router/r1', load), 'no-receiver')
  registration.close()
  assert.equal(monitor.loadOf('instance/a'), null)
})

test('waiting for a report ends with its signal', async () => {
  const monitor = new LoadMonitor(liveBus())
  const abort = new AbortController()
  const waiting = monitor.nextReport(abort.signal)
  abort.abort()
  await waiting
  await monitor.nextReport(abort.signal)
})

test('an instance is empty when nothing runs, nothing waits, and no block is held', () => {
  const idle = { ...idleLoad('a'), numRunning: 0, numWaiting: 0, totalBlocks: 10, freeBlocks: 7, cachedBlocks: 3 }
  assert.equal(holdsNothing(idle), true)
  for (const held of [{ numRunning: 1 }, { numWaiting: 1 }, { freeBlocks: 6 }]) assert.equal(holdsNothing({ ...idle, ...held }), false)
})
