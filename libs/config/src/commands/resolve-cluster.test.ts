import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidArgument } from '../errors.ts'
import type { Machine } from '../sources/machine.ts'
import { resolveInstanceConfig, resolveRouterConfig, resolveServeConfig, resolveSpeculatorConfig } from './resolve.ts'

const machine: Machine = {
  availableParallelism: 4, totalMemoryBytes: 2 ** 34, homeDir: '/home/ada', repoRoot: '/opt/rubato', cwd: '/srv', hostName: 'gpu_7.example.org', processId: 4711,
  addresses: ['10.0.0.7', 'fd00::7'],
}
type Flags = Readonly<Record<string, unknown>>
const router = (flags: Flags = {}, env: Record<string, string> = {}) => resolveRouterConfig({ flags, env, file: null, machine })
const decode = (flags: Flags = {}, env: Record<string, string> = {}) => resolveInstanceConfig({ flags, env, file: null, machine }, 'decode')
const speculator = (flags: Flags = {}) => resolveSpeculatorConfig({ flags, env: {}, file: null, machine })
const serve = (flags: Flags = {}) => resolveServeConfig({ flags, env: {}, file: null, machine })

function refusal(resolve: () => unknown): string {
  try {
    resolve()
  } catch (error) {
    assert.ok(error instanceof InvalidArgument)
    return `${error.field}: ${error.message}`
  }
  return assert.fail('was accepted')
}

test('a process of a cluster needs no flag where NATS runs beside it', () => {
  const { instanceId, nats, kv, role, metricsPort } = decode()
  assert.equal(instanceId, 'decode-gpu_7-4711')
  assert.deepEqual(nats, { servers: ['nats://127.0.0.1:4222'], cluster: 'rubato', login: { kind: 'none' }, tls: null })
  assert.deepEqual(kv, { host: '127.0.0.1', port: 0, advertiseAddress: '127.0.0.1', advertisePort: null, tls: null })
  assert.deepEqual([role, metricsPort], ['decode', null])
  assert.equal(router().instanceId, 'router-gpu_7-4711')
  assert.equal(router().adminPort, 50_052)
})

test('the processes of a cluster agree on the model when they are told the same', () => {
  const flags = { model: '/m', quantization: 'int8', 'block-size': '32', 'prefill-cell-tokens': '64', 'chat-template': 't.jinja' }
  const modelOf = ({ modelDir, dtype, device, chatTemplate, blockSize, prefillCellTokens, maxModelLen, cacheDir }: ReturnType<typeof serve> | ReturnType<typeof router> | ReturnType<typeof decode>) =>
    ({ modelDir, dtype, device, chatTemplate, blockSize, prefillCellTokens, maxModelLen, cacheDir })
  assert.deepEqual(modelOf(router(flags)), modelOf(serve(flags)))
  assert.deepEqual(modelOf(decode(flags)), modelOf(serve(flags)))
})

test('names must fit into addresses', () => {
  assert.equal(decode({ 'instance-id': 'd-1_a' }).instanceId, 'd-1_a')
  for (const name of ['d.1', 'd@1', 'd 1', '-d', 'd/1', '*', 'd'.repeat(64)]) {
    assert.match(refusal(() => decode({ 'instance-id': name })), /^instance-id: .*letters, digits/)
    assert.match(refusal(() => router({ cluster: name })), /^cluster: .*letters, digits/)
  }
})

test('credentials are read from the URL, which then holds none', () => {
  const { servers, login } = router({ nats: 'nats://ada:p%40ss@n1:4222,nats://ada:p%40ss@n2:4222' }).nats
  assert.deepEqual(servers, ['nats://n1:4222', 'nats://n2:4222'])
  assert.deepEqual(login, { kind: 'user', user: 'ada', password: 'p@ss' })
  assert.deepEqual(router({ nats: 'nats://s3cret@n1' }).nats.login, { kind: 'token', token: 's3cret' })
})

test('credentials come one way at a time', () => {
  assert.deepEqual(router({ 'nats-token': 't' }).nats.login, { kind: 'token', token: 't' })
  assert.deepEqual(router({ 'nats-creds': 'u.creds' }).nats.login, { kind: 'creds', file: '/srv/u.creds' })
  assert.deepEqual(router({ 'nats-nkey': 'u.nk' }).nats.login, { kind: 'nkey', file: '/srv/u.nk' })
  const said = refusal(() => router({ nats: 'nats://ada:hush@n1', 'nats-token': 'secret-token' }))
  assert.match(said, /^nats: credentials in --nats \(from --nats\) and --nats-token \(from --nats-token\) contradict/)
  assert.doesNotMatch(said, /hush|secret-token/)
  assert.doesNotMatch(refusal(() => router({ nats: 'http://ada:hush@n1' })), /hush/)
})

test('TLS to NATS: an authority alone, or certificate and key together', () => {
  assert.deepEqual(router({ 'nats-ca': 'ca.pem' }).nats.tls, { caFile: '/srv/ca.pem', certFile: null, keyFile: null })
  assert.match(refusal(() => router({ 'nats-certfile': 'c.pem' })), /^nats-keyfile: is missing/)
  assert.match(refusal(() => router({ 'nats-keyfile': 'k.pem' })), /^nats-certfile: is missing/)
})

test('the port for KV is open beyond this machine only with mutual TLS, or when that is wanted', () => {
  assert.match(refusal(() => decode({ host: '0.0.0.0' })), /^host: 0\.0\.0\.0 .* --cluster-certfile, .* or --insecure/)
  assert.equal(decode({ host: '0.0.0.0', insecure: true }).kv.tls, null)
  const files = { 'cluster-certfile': 'c.pem', 'cluster-keyfile': 'k.pem', 'cluster-ca-certs': 'ca.pem' }
  assert.deepEqual(decode({ host: '10.0.0.7', ...files }).kv.tls, { certFile: '/srv/c.pem', keyFile: '/srv/k.pem', caFile: '/srv/ca.pem' })
  for (const name of Object.keys(files)) assert.match(refusal(() => decode({ ...files, [name]: undefined })), new RegExp(`^${name}: is missing`))
})

test('the doors of a router are open beyond this machine only with a key, or when that is wanted', () => {
  assert.match(refusal(() => router({ host: '0.0.0.0' })), /^host: .* --api-key KEY, or --insecure/)
  assert.equal(router({ host: '0.0.0.0', 'api-key': 'k' }).host, '0.0.0.0')
})

test('peers are told an address that they can use', () => {
  const open = { insecure: true }
  assert.equal(decode({ host: '0.0.0.0', ...open }).kv.advertiseAddress, '10.0.0.7')
  assert.equal(decode({ host: 'gpu7', ...open }).kv.advertiseAddress, 'gpu7')
  assert.equal(decode({ host: '0.0.0.0', 'advertise-address': 'gpu7.example.org', ...open }).kv.advertiseAddress, 'gpu7.example.org')
  const ported = (address: string): unknown[] => {
    const { advertiseAddress, advertisePort } = decode({ 'advertise-address': address }).kv
    return [advertiseAddress, advertisePort]
  }
  assert.deepEqual(['gpu7:7200', '10.0.0.9:7200', '[fd00::7]:7200', 'fd00::7', 'gpu7'].map(ported), [['gpu7', 7200], ['10.0.0.9', 7200], ['fd00::7', 7200], ['fd00::7', null], ['gpu7', null]])
  assert.match(refusal(() => decode({ 'advertise-address': 'gpu7:70000' })), /^advertise-address: .*port/)
  const alone = { ...machine, addresses: [] }
  assert.match(refusal(() => resolveInstanceConfig({ flags: { host: '::', ...open }, env: {}, file: null, machine: alone }, 'prefill')), /^advertise-address: is needed: --host is :: \(from --host\)/)
})

test('a router may be told of other CPUs than its own', () => {
  assert.equal(router().instanceCpu, null)
  assert.equal(router({ 'instance-cpu': 'x64-avx2' }).instanceCpu, 'x64-avx2')
  assert.match(refusal(() => router({ 'instance-cpu': 'EPYC 7B13' })), /^instance-cpu: .*such as x64-avx2/)
})

test('the role is the command\'s until something else is said', () => {
  assert.equal(resolveInstanceConfig({ flags: {}, env: {}, file: null, machine }, 'prefill').role, 'prefill')
  assert.equal(decode({ role: 'mixed' }).role, 'mixed')
  assert.equal(decode({}, { RUBATO_ROLE: 'prefill' }).role, 'prefill')
})

test('ports of an instance differ, unless chosen freely', () => {
  assert.match(refusal(() => decode({ 'kv-port': '9000', 'metrics-port': '9000' })), /^metrics-port: 9000 .* is also the KV port/)
  assert.equal(decode({ 'kv-port': '0', 'metrics-port': '0' }).metricsPort, 0)
})

test('serve joins a cluster only where NATS is named', () => {
  assert.equal(serve().link, null)
  assert.equal(serve({ nats: 'none' }).link, null)
  const { link } = serve({ nats: 'nats://n:1', cluster: 'c', 'kv-port': '9' })
  assert.deepEqual([link?.instanceId, link?.nats.cluster, link?.kv.port], ['serve-gpu_7-4711', 'c', 9])
})

test('traces go where the flag says, else where the standard variables say', () => {
  assert.deepEqual(router({ 'otlp-traces-endpoint': 'http://c:4318/v1/traces' }).tracing, { endpoint: 'http://c:4318/v1/traces', headers: {}, serviceName: null, resourceAttributes: {}, sampleRatio: 1 })
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318/', OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20x, k=v', OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25', OTEL_SERVICE_NAME: 'llm', OTEL_RESOURCE_ATTRIBUTES: 'zone=a' }
  assert.deepEqual(decode({}, env).tracing, { endpoint: 'http://c:4318/v1/traces', headers: { authorization: 'Bearer x', k: 'v' }, serviceName: 'llm', resourceAttributes: { zone: 'a' }, sampleRatio: 0.25 })
  assert.equal(decode({}, { ...env, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://t/x' }).tracing?.endpoint, 'http://t/x')
  assert.equal(decode({}, { ...env, OTEL_TRACES_SAMPLER: 'always_off' }).tracing?.sampleRatio, 0)
  assert.equal(decode({}, { ...env, OTEL_SDK_DISABLED: 'true' }).tracing, null)
  assert.equal(decode({}, { ...env, OTEL_TRACES_EXPORTER: 'none' }).tracing, null)
  assert.match(refusal(() => decode({}, { ...env, OTEL_TRACES_SAMPLER_ARG: '2' })), /^OTEL_TRACES_SAMPLER_ARG: /)
  assert.match(refusal(() => router({ 'otlp-traces-endpoint': 'c:4318' })), /^otlp-traces-endpoint: .*http/)
})

test('a speculator drafts for the bundled model, or says which draft model it needs', () => {
  const { instanceId, modelDir, draftDir, listener, metricsPort } = speculator()
  assert.deepEqual([instanceId, modelDir, draftDir, metricsPort], ['speculator-gpu_7-4711', '/opt/rubato/models/shakespeare-target', '/opt/rubato/models/shakespeare-draft', null])
  assert.deepEqual(listener, { host: '127.0.0.1', port: 0, advertiseAddress: '127.0.0.1', advertisePort: null, tls: null })
  assert.match(refusal(() => speculator({ model: '/m' })), /^draft: is needed: .* tokenizer of \/m/)
  assert.deepEqual([speculator({ model: '/m', draft: 'd' }).draftDir, speculator({ model: '/m', draft: '/d' }).draftDir], ['/srv/d', '/d'])
})

test('a speculator that others can reach needs mutual TLS, as instances do', () => {
  assert.match(refusal(() => speculator({ host: '0.0.0.0' })), /^host: .*the port that tokens are drafted at; give --cluster-certfile/)
  assert.equal(speculator({ host: '0.0.0.0', insecure: true }).listener.advertiseAddress, '10.0.0.7')
  const files = { 'cluster-certfile': '/c', 'cluster-keyfile': '/k', 'cluster-ca-certs': '/a' }
  assert.deepEqual(speculator({ host: '0.0.0.0', 'draft-port': 7200, ...files }).listener, { host: '0.0.0.0', port: 7200, advertiseAddress: '10.0.0.7', advertisePort: null, tls: { certFile: '/c', keyFile: '/k', caFile: '/a' } })
  assert.match(refusal(() => speculator({ 'draft-port': 7200, 'metrics-port': 7200 })), /^metrics-port: .*draft port/)
})

test('where drafts are made can be said, and asks for them', () => {
  assert.deepEqual([decode({ model: '/m', drafting: 'remote' }).speculation, decode({ model: '/m' }).speculation.drafting], [{ policy: 'auto', proposer: 'draft', draftDir: null, drafting: 'remote' }, 'auto'])
  assert.match(refusal(() => decode({ drafting: 'elsewhere' })), /^drafting: .*auto, local, remote/)
  const { numSpeculators, speculation } = serve({ speculators: 2 })
  assert.deepEqual([numSpeculators, speculation.policy, speculation.draftDir], [2, 'auto', '/opt/rubato/models/shakespeare-draft'])
  assert.match(refusal(() => serve({ speculators: 1, model: '/m' })), /^speculators: 1 .*need a draft model/)
  assert.match(refusal(() => serve({ speculators: 1, nats: 'nats://n' })), /^speculators: 1 .*run `rubato speculator`/)
})
