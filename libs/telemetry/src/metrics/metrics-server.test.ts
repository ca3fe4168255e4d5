import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RubatoError } from '@rubato/config'
import { startMetricsServer } from './metrics-server.ts'

async function withServer(check: (ask: (path: string, init?: RequestInit) => Promise<Response>, state: { problem: string | null; isBroken: boolean; errors: unknown[]; port: number }) => Promise<void>): Promise<void> {
  const state = { problem: null as string | null, isBroken: false, errors: [] as unknown[], port: 0 }
  const render = (): string => {
    if (state.isBroken) throw new Error('secret')
    return 'rubato_up 1\n'
  }
  const server = await startMetricsServer({ host: '127.0.0.1', port: 0, render, problem: () => state.problem, onError: (error) => state.errors.push(error) })
  state.port = server.port
  await check((path, init) => fetch(`http://127.0.0.1:${server.port}${path}`, init), state)
  await server.close()
  await server.close()
}

test('metrics, health and liveness', async () => {
  await withServer(async (ask, state) => {
    const metrics = await ask('/metrics?format=text')
    assert.deepEqual([metrics.status, await metrics.text()], [200, 'rubato_up 1\n'])
    assert.match(metrics.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/)
    assert.equal((await ask('/health')).status, 200)
    state.problem = 'draining'
    const health = await ask('/health')
    assert.deepEqual([health.status, await health.json()], [503, { status: 'draining' }])
    assert.equal((await ask('/livez')).status, 200)
    assert.equal((await ask('/livez', { method: 'HEAD' })).status, 200)
  })
})

test('unknown paths are 404, other methods 405, and a failure says nothing of itself', async () => {
  await withServer(async (ask, state) => {
    for (const path of ['/', '/metrics/', '/v1/models']) assert.equal((await ask(path)).status, 404)
    assert.equal((await ask('/metrics', { method: 'POST', body: 'x' })).status, 405)
    state.isBroken = true
    const answer = await ask('/metrics')
    assert.equal(answer.status, 500)
    assert.doesNotMatch(await answer.text(), /secret/)
    assert.equal(state.errors.length, 1)
  })
})

test('a taken port is reported with the flag that sets it', async () => {
  await withServer(async (_ask, { port }) => {
    const second = startMetricsServer({ host: '127.0.0.1', port, render: () => '', problem: () => null, onError: () => assert.fail() })
    await assert.rejects(second, (error) => error instanceof RubatoError && error.code === 'address_in_use' && error.field === '--metrics-port')
  })
})
