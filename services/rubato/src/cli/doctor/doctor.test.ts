import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { startNatsServer, temporaryFolder } from '@rubato/testing'
import { runRubato } from '../run-rubato.ts'

const PORTS = { RUBATO_PORT: '0', RUBATO_GRPC_PORT: '0' }

interface Diagnosis {
  readonly ok: boolean
  readonly checks: readonly { readonly name: string; readonly status: string; readonly detail: string; readonly fix: string | null }[]
}

test('all that serving needs works here', async (t) => {
  const { code, stdout } = await runRubato(['doctor', '--json'], { env: { ...PORTS, RUBATO_CACHE_DIR: temporaryFolder(t) } })
  const { ok, checks } = JSON.parse(stdout) as Diagnosis
  assert.deepEqual(checks.filter(({ status }) => status === 'failed'), [])
  assert.deepEqual([code, ok], [0, true])
  for (const name of ['node', 'onnxruntime', 'zero-copy inputs', 'cpu kernels', 'huge pages', 'memory', 'cache directory', 'HTTP port', 'gRPC port', 'nats-server', 'model shakespeare-target', '@grpc/grpc-js']) {
    assert.ok(checks.some((check) => check.name === name), name)
  }
  for (const { name, status, fix } of checks) assert.ok(status === 'ok' || status === 'absent' || fix !== null, `${name} has no fix`)
})

test('what is broken is named with its fix, and the exit code is 1', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(path.join(folder, 'file'), '')
  const { code, stdout } = await runRubato(['doctor'], { env: { ...PORTS, RUBATO_CACHE_DIR: path.join(folder, 'file') } })
  assert.equal(code, 1)
  assert.match(stdout, /^FAILED +cache directory +cannot write .*\n?.*Fix: /m)
  assert.match(stdout, /rubato cannot serve on this machine yet\n$/)
})

test('an invalid setting is one finding among the others', async (t) => {
  const { code, stdout } = await runRubato(['doctor', '--json'], { env: { HOME: temporaryFolder(t), RUBATO_PROT: '1' } })
  assert.equal(code, 1)
  const { checks } = JSON.parse(stdout) as Diagnosis
  assert.deepEqual(checks.filter(({ status }) => status === 'failed').map(({ name, detail }) => [name, detail]), [['configuration', 'RUBATO_PROT: no flag has this name; did you mean RUBATO_PORT?']])
})

test('with --nats it says whether a cluster can be joined', async (t) => {
  const env = { ...PORTS, RUBATO_CACHE_DIR: temporaryFolder(t) }
  const natsOf = async (url: string): Promise<{ readonly status: string; readonly detail: string } | undefined> => {
    const { stdout } = await runRubato(['doctor', '--json', '--nats', url], { env })
    return (JSON.parse(stdout) as Diagnosis).checks.find(({ name }) => name === 'NATS')
  }
  const { url } = await startNatsServer(t)
  assert.deepEqual([(await natsOf(url))?.status, (await natsOf('nats://127.0.0.1:1'))?.status], ['ok', 'failed'])
})
