// Who may do what, end to end with real processes: clients and operators by key over TLS, peers by certificate, all by
// credentials at the NATS server. And what health says of it all.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import https from 'node:https'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { Metadata, credentials, status } from '@grpc/grpc-js'
import type { ChannelCredentials, Client } from '@grpc/grpc-js'
import { connect, usernamePasswordAuthenticator } from '@nats-io/transport-node'
import type { KvPullRequest, KvTransport } from '@rubato/rpc'
import { createKvTransport, loadClusterPackage, loadInferencePackage } from '@rubato/rpc'
import { issueCertificate, noOpenssl, startNatsServer, temporaryFolder } from '@rubato/testing'
import { WireCodec } from '../libs/bus/src/nats/wire.ts'
import { discover, unary } from '../services/router/src/grpc/reflection-client.ts'
import type { Certificate } from '@rubato/testing'
import { natsOperator, nkeyUser } from './fixtures/nats-identities.ts'
import { until } from './support/cluster.ts'
import { Services } from './support/processes.ts'
import type { Service } from './support/processes.ts'

const KEY = 'sk-lantern'
const SYNTHETIC = ['--engine', 'synthetic:5', '--max-model-len', '1024']
const PROMPT = `${'Who goes there? Stand and unfold yourself. '.repeat(16)}BERNARDO:\n`
const BODY = JSON.stringify({ prompt: PROMPT, max_tokens: 8, seed: 3, temperature: 0.5, ignore_eos: true })
const NEVER = new AbortController().signal

interface HttpAnswer {
  readonly status: number
  readonly body: string
}

interface HttpCall {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly key?: string
}

/** Over TLS; `files` are what the caller trusts and shows. */
function call(url: string, { method, path, key }: HttpCall, files: { readonly ca: Buffer; readonly cert?: Buffer; readonly key?: Buffer }): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>()
  const headers = { 'content-type': 'application/json', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) }
  const request = https.request(`${url.replace('127.0.0.1', 'localhost')}${path}`, { method, headers, agent: false, ...files }, (response) => {
    response.setEncoding('utf8')
    let body = ''
    response.on('data', (text: string) => (body += text))
    response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
  })
  request.on('error', reject)
  request.end(method === 'POST' ? BODY : undefined)
  return promise
}

/** The status code of a unary gRPC call. */
async function codeOf(Constructor: new (address: string, how: ChannelCredentials) => Client, method: string, to: { readonly address: string; readonly how: ChannelCredentials; readonly key?: string }): Promise<number> {
  const client = new Constructor(to.address.replace('127.0.0.1', 'localhost'), to.how)
  const metadata = new Metadata()
  if (to.key !== undefined) metadata.set('authorization', `Bearer ${to.key}`)
  const code = await unary(client, method, {}, metadata).then(() => status.OK, (error: Error & { code?: number }) => error.code ?? -1)
  client.close()
  return code
}

const Inference = loadInferencePackage().rubato.v1.Inference
const Cluster = loadClusterPackage().rubato.v1.Cluster

interface Guarded {
  readonly ours: Certificate
  readonly theirs: Certificate
  readonly services: readonly Service[]
  readonly router: Service
  /** Requires client certificates too. */
  readonly strict: Service
  readonly decode: Service
  /** Everything that an instance was sent over the bus. */
  readonly heard: readonly { readonly from: string; readonly payload: { readonly kind: string } }[]
}

/** A cluster with every guard there is: NATS by TLS and password, KV by mutual TLS, doors by TLS and key. */
async function startGuarded(t: TestContext): Promise<Guarded> {
  const folder = temporaryFolder(t)
  const [ours, theirs] = [issueCertificate(folder, 'ours'), issueCertificate(folder, 'theirs')]
  const nats = await startNatsServer(t, {
    user: { name: 'rubato', password: 'sesame' },
    config: [`tls { cert_file: ${JSON.stringify(ours.certFile)}, key_file: ${JSON.stringify(ours.keyFile)}, ca_file: ${JSON.stringify(ours.caFile)}, verify: true }`],
  })
  const byCertificate = ['--nats-ca', ours.caFile, '--nats-certfile', ours.certFile, '--nats-keyfile', ours.keyFile]
  const services = new Services(t, { natsUrl: nats.url.replace('nats://', 'tls://rubato:sesame@'), modelFlags: [...SYNTHETIC, ...byCertificate] })
  const door = ['--api-key', KEY, '--ssl-certfile', ours.certFile, '--ssl-keyfile', ours.keyFile, '--placement', 'disaggregated']
  const kv = ['--advertise-address', 'localhost', '--cluster-certfile', ours.certFile, '--cluster-keyfile', ours.keyFile, '--cluster-ca-certs', ours.caFile, '--metrics-port', '0']
  const [router, strict, prefill, decode] = await Promise.all([
    services.router('r1', door), services.router('r2', [...door, '--ssl-ca-certs', ours.caFile]), services.prefill('p1', kv), services.decode('d1', kv),
  ])
  const tls = { ca: readFileSync(ours.caFile, 'utf8'), cert: readFileSync(ours.certFile, 'utf8'), key: readFileSync(ours.keyFile, 'utf8') }
  const raw = await connect({ servers: nats.url, tls, authenticator: usernamePasswordAuthenticator('rubato', 'sesame') })
  t.after(() => raw.close())
  const heard: { from: string; payload: { kind: string } }[] = []
  const codec = new WireCodec()
  raw.subscribe('rubato.test.to.instance.>', {
    callback: (_, { data }) => {
      const decoded = codec.decode(data)
      if (decoded.kind === 'message') heard.push(decoded as unknown as (typeof heard)[number])
    },
  })
  await raw.flush()
  await until(() => [router, strict].every((service) => service.log().match(/"msg":"instance joined"/g)?.length === 2))
  return { ours, theirs, services: [router, strict, prefill, decode], router, strict, decode, heard }
}

const pemOf = ({ certFile, keyFile, caFile }: Certificate) => ({ cert: readFileSync(certFile), key: readFileSync(keyFile), ca: readFileSync(caFile) })

async function assertDoorsGuarded({ ours, theirs, router, strict }: Guarded): Promise<void> {
  const [own, foreign] = [pemOf(ours), pemOf(theirs)]
  const complete: HttpCall = { method: 'POST', path: '/v1/completions' }
  const trusting = { ca: own.ca }
  assert.equal((await call(router.http!, { method: 'GET', path: '/health' }, trusting)).status, 200)
  for (const key of [undefined, 'sk-lanterm', '']) assert.equal((await call(router.http!, { ...complete, ...(key === undefined ? {} : { key }) }, trusting)).status, 401)
  assert.equal((await call(router.http!, { ...complete, key: KEY }, trusting)).status, 200)
  await assert.rejects(call(router.http!, { ...complete, key: KEY }, { ca: foreign.ca }), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
  await assert.rejects(fetch(`${router.http!.replace('https', 'http')}/health`))
  await assert.rejects(call(strict.http!, { ...complete, key: KEY }, trusting))
  await assert.rejects(call(strict.http!, { ...complete, key: KEY }, { ...foreign, ca: own.ca }))
  assert.equal((await call(strict.http!, { ...complete, key: KEY }, own)).status, 200)
  assert.equal((await call(strict.http!, complete, own)).status, 401)

  const [plain, trusted, certified, impostor] = [
    credentials.createInsecure(), credentials.createSsl(own.ca), credentials.createSsl(own.ca, own.key, own.cert), credentials.createSsl(own.ca, foreign.key, foreign.cert),
  ]
  for (const [Constructor, method, door] of [[Inference, 'ListModels', 'grpc'], [Cluster, 'ListInstances', 'admin']] as const) {
    const [address, strictAddress] = [router, strict].map((service) => (door === 'grpc' ? service.grpc! : service.fields['admin']!)) as [string, string]
    const attempts: readonly (readonly [number, { address: string; how: ChannelCredentials; key?: string }])[] = [
      [status.UNAVAILABLE, { address, how: plain, key: KEY }], [status.UNAUTHENTICATED, { address, how: trusted }], [status.UNAUTHENTICATED, { address, how: trusted, key: 'sk-lanterm' }],
      [status.OK, { address, how: trusted, key: KEY }], [status.UNAVAILABLE, { address: strictAddress, how: trusted, key: KEY }],
      [status.UNAVAILABLE, { address: strictAddress, how: impostor, key: KEY }], [status.OK, { address: strictAddress, how: certified, key: KEY }],
    ]
    assert.deepEqual(await Promise.all(attempts.map(([, to]) => codeOf(Constructor, method, to))), attempts.map(([code]) => code), method)
  }
}

async function stranger(t: TestContext, tls: Certificate | null): Promise<KvTransport> {
  const transport = await createKvTransport({ host: '127.0.0.1', port: 0, advertiseAddress: 'localhost', tls: tls === null ? null : pemOf(tls), idleTimeoutMs: 2_000 })
  t.after(() => transport.close())
  return transport
}

interface Offer {
  readonly kind: 'offer'
  readonly requestId: string
  readonly epoch: KvPullRequest['epoch']
  readonly numBlocks: number
  readonly token: string
}

test('with every guard on, a request goes its way over three processes, and nobody gets in without what each door asks for', { skip: noOpenssl }, async (t) => {
  const guarded = await startGuarded(t)
  const { ours, theirs, services, decode, heard } = guarded
  await assertDoorsGuarded(guarded)
  const pulled = await (await fetch(`http://${decode.fields['metrics']}/metrics`)).text()
  assert.match(pulled, /^rubato_instance_kv_transferred_bytes_total\{.*direction="pulled".*\} [1-9]\d*$/m)

  // Whoever reads the bus still cannot pull: a token was used up by whom it was for, and no other opens anything.
  const offer = heard.map(({ payload }) => payload).find(({ kind }) => kind === 'offer') as Offer | undefined
  const source = services.find(({ name }) => name === 'p1')!
  const modelFingerprint = /synthetic-[\w-]+/.exec(JSON.stringify(heard))?.[0] ?? 'unknown'
  const { requestId, epoch, numBlocks, token } = offer!
  const request: KvPullRequest = { kvAddress: source.fields['kv']!, requestId, epoch, numBlocks, blockBytes: 524_288, modelFingerprint, token }
  const peer = await stranger(t, ours)
  await assert.rejects(peer.pull(request, NEVER), { code: 'kv_refused' })
  await assert.rejects(peer.pull({ ...request, token: Buffer.alloc(32, 7).toString('base64url') }, NEVER), { code: 'kv_refused' })
  for (const tls of [null, theirs]) await assert.rejects((await stranger(t, tls)).pull(request, NEVER), { code: 'kv_link_failed' })

  assert.deepEqual(source.log().match(/"send-refused".*"reason":"\w+"/g)?.map((line) => /"reason":"(\w+)"/.exec(line)![1]), ['unknown', 'unknown'])

  const secrets = [KEY, 'sesame', token]
  for (const service of services) for (const secret of secrets) assert.ok(!service.log().includes(secret), service.name)
  assert.deepEqual(await Promise.all(services.map((service) => service.stop())), [0, 0, 0, 0])
})

test('a token, an NKey and credentials of an account each open a NATS server that asks for them', async (t) => {
  const folder = temporaryFolder(t)
  const [operator, user] = [natsOperator(folder, 'operator'), nkeyUser(folder, 'user')]
  const ways: readonly { readonly config: readonly string[]; readonly flags: readonly string[] }[] = [
    { config: ['authorization { token: "open sesame" }'], flags: ['--nats-token', 'open sesame'] },
    { config: [`authorization { users: [ { nkey: ${user.publicKey} } ] }`], flags: ['--nats-nkey', user.seedFile] },
    { config: operator.config, flags: ['--nats-creds', operator.credsFile] },
  ]
  const services = new Services(t, { natsUrl: null, modelFlags: SYNTHETIC })
  await Promise.all(ways.map(async ({ config, flags }, index) => {
    const nats = await startNatsServer(t, { config })
    const service = await services.serve(`s${index}`, ['--nats', nats.url, ...flags])
    const answer = await fetch(`${service.http}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: BODY })
    assert.equal(answer.status, 200)
    assert.equal(await service.stop(), 0)
  }))
})

interface Health {
  /** Of the router; each 'up' or 'down'. */
  readonly http: string
  readonly grpc: string
  /** Of the instance. */
  readonly instance: string
}

const word = (isServing: boolean): string => (isServing ? 'up' : 'down')

const isUp = (url: string): Promise<boolean> => fetch(`${url}/health`).then(({ status: code }) => code === 200, () => false)

async function healthOf(router: Service, decode: Service | null, client: Client): Promise<Health> {
  const [http, grpc, instance] = await Promise.all([
    isUp(router.http!),
    unary<{ status: string }>(client, 'Check', { service: 'rubato.v1.Inference' }, new Metadata()).then((answer) => answer.status === 'SERVING'),
    decode === null ? false : isUp(`http://${decode.fields['metrics']}`),
  ])
  return { http: word(http), grpc: word(grpc), instance: word(instance) }
}

test('health, over HTTP and gRPC, says whether a request could be served', async (t) => {
  const nats = await startNatsServer(t)
  const services = new Services(t, { natsUrl: nats.url, modelFlags: ['--engine', 'synthetic:20', '--max-model-len', '1024'] })
  const router = await services.router('r1')
  const health = await discover(router.grpc!, 'grpc.health.v1.Health')
  t.after(() => health.close())
  const admin = new Cluster(router.fields['admin']!, credentials.createInsecure())
  t.after(() => admin.close())
  let decode: Service | null = null
  const shows = (expected: Health): Promise<void> => until(async () => JSON.stringify(await healthOf(router, decode, health)) === JSON.stringify(expected))
  const tell = (method: 'Drain' | 'Undrain'): Promise<object> => unary(admin, method, { instance: 'd1' }, new Metadata())

  await shows({ http: 'down', grpc: 'down', instance: 'down' })
  decode = await services.decode('d1', ['--metrics-port', '0'])
  await shows({ http: 'up', grpc: 'up', instance: 'up' })
  await tell('Drain')
  await shows({ http: 'down', grpc: 'down', instance: 'down' })
  await tell('Undrain')
  await shows({ http: 'up', grpc: 'up', instance: 'up' })
  await nats.kill()
  await shows({ http: 'down', grpc: 'down', instance: 'down' })
  assert.equal((await fetch(`${router.http}/livez`)).status, 200)
  await nats.restart()
  await shows({ http: 'up', grpc: 'up', instance: 'up' })

  // A stream that would go on for long keeps both from leaving.
  const client = new AbortController()
  const body = JSON.stringify({ prompt: PROMPT, max_tokens: 500, ignore_eos: true, stream: true })
  const stream = await fetch(`${router.http}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body, signal: client.signal })
  assert.equal(stream.status, 200)
  await stream.body!.getReader().read()
  decode.signal('SIGTERM')
  await until(async () => (await (await fetch(`http://${decode!.fields['metrics']}/health`)).text()).includes('draining'))
  await shows({ http: 'down', grpc: 'down', instance: 'down' })
  router.signal('SIGTERM')
  await until(async () => !(await fetch(`${router.http}/livez`).then(() => true, () => false)))
  client.abort()
  assert.deepEqual(await Promise.all([router.exited, decode.exited]), [0, 0])
})
