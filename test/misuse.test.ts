// What users get wrong, as processes meet it: each case ends with a message that names what to change, or is refused while
// everybody else goes on; none leads to wrong tokens.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { Kvm } from '@nats-io/kv'
import { connect } from '@nats-io/transport-node'
import { connectNats } from '@rubato/bus'
import { issueCertificate, noOpenssl, startNatsServer, temporaryFolder } from '@rubato/testing'
import type { NatsServer } from '@rubato/testing'
import { natsOperator, nkeyUser } from './fixtures/nats-identities.ts'
import { until } from './support/cluster.ts'
import { Services } from './support/processes.ts'
import type { Service } from './support/processes.ts'

interface Misuse {
  readonly what: string
  readonly args: readonly string[]
  readonly code: 1 | 2
  /** In its one line of error. */
  readonly says: RegExp
}

const SYNTHETIC = ['--engine', 'synthetic:5', '--max-model-len', '1024']
const ROUTER = ['router', '--port', '0', '--grpc-port', '0', ...SYNTHETIC]
const DECODE = ['decode', '--kv-cache-memory-bytes', '96MiB', ...SYNTHETIC]
const SECRETS = /sesame|basil|parsley|SU[A-Z2-7]{56}/
/** As many processes start at a time. */
const PARALLEL = 3

/** Starts every process of the table; each must refuse to. */
async function assertRefused(t: TestContext, table: readonly Misuse[]): Promise<void> {
  const services = new Services(t, { natsUrl: null })
  const queue = [...table]
  const work = async (): Promise<void> => {
    for (let misuse = queue.shift(); misuse !== undefined; misuse = queue.shift()) {
      const { what, args, code, says } = misuse
      const told = await services.start(what, args).then(({ ready }) => ready, (error: Error) => error.message)
      assert.match(told, new RegExp(`^${what} ended with code ${code} before it was ready`), what)
      const errors = told.split('\n').filter((line) => line.startsWith('error: '))
      assert.equal(errors.length, 1, told)
      assert.match(errors[0]!, says, what)
      assert.doesNotMatch(told, SECRETS, what)
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
}

const portOf = ({ url }: NatsServer): string => new URL(url).port

test('a NATS server that is not there, has no JetStream, or does not know these credentials is told as what it is', async (t) => {
  const folder = temporaryFolder(t)
  const [ours, theirs] = [natsOperator(folder, 'ours'), natsOperator(folder, 'theirs')]
  const [known, stranger] = [nkeyUser(folder, 'known'), nkeyUser(folder, 'stranger')]
  const notes = path.join(folder, 'notes.txt')
  writeFileSync(notes, 'buy parsley')
  const users = `authorization { users: [ { user: rubato, password: sesame }, { nkey: ${known.publicKey} } ] }`
  const [plain, byUser, byToken, byCreds] = await Promise.all([[false, []], [true, [users]], [true, ['authorization { token: sesame }']], [true, ours.config]].map(
    ([jetStream, config]) => startNatsServer(t, { jetStream: jetStream as boolean, config: config as string[] }),
  ))
  const refused = /--nats 127\.0\.0\.1:\d+: the server refused these credentials\. Check user and password, token, the creds file or the NKey seed/
  await assertRefused(t, [
    { what: 'nobody there', args: [...ROUTER, '--nats', 'nats://127.0.0.1:1'], code: 1, says: /--nats 127\.0\.0\.1:1: .*refused.*nats-server -js/ },
    { what: 'no JetStream', args: [...DECODE, '--nats', plain!.url], code: 1, says: /no JetStream.*nats-server -js/ },
    { what: 'no NATS URL', args: [...DECODE, '--nats', 'http://127.0.0.1:4222'], code: 2, says: /nats: .*nats:\/\// },
    { what: 'no credentials', args: [...ROUTER, '--nats', byUser!.url], code: 1, says: refused },
    { what: 'wrong password', args: [...DECODE, '--nats', `nats://rubato:basil@127.0.0.1:${portOf(byUser!)}`], code: 1, says: refused },
    { what: 'unknown nkey', args: [...DECODE, '--nats', byUser!.url, '--nats-nkey', stranger.seedFile], code: 1, says: refused },
    { what: 'no nkey', args: [...DECODE, '--nats', byUser!.url, '--nats-nkey', notes], code: 2, says: /--nats-nkey: holds no NKey seed/ },
    { what: 'no nkey file', args: [...DECODE, '--nats', byUser!.url, '--nats-nkey', '/nowhere.nk'], code: 2, says: /nats-nkey: cannot read \/nowhere\.nk/ },
    { what: 'wrong token', args: [...ROUTER, '--nats', byToken!.url, '--nats-token', 'basil'], code: 1, says: refused },
    { what: 'unknown creds', args: [...DECODE, '--nats', byCreds!.url, '--nats-creds', theirs.credsFile], code: 1, says: refused },
    { what: 'no creds', args: [...DECODE, '--nats', byCreds!.url, '--nats-creds', notes], code: 2, says: /--nats-creds: is no credentials file/ },
    { what: 'two ways at once', args: [...DECODE, '--nats', `nats://rubato:basil@127.0.0.1:${portOf(byUser!)}`, '--nats-token', 'basil'], code: 2, says: /nats: .*--nats-token.*contradict/ },
  ])
})

test('certificates that are not to be trusted, do not belong together, or are none, are refused by what they were given as', { skip: noOpenssl }, async (t) => {
  const folder = temporaryFolder(t)
  const notes = path.join(folder, 'notes.txt')
  writeFileSync(notes, 'buy parsley')
  const [ours, theirs, elsewhere] = [issueCertificate(folder, 'ours'), issueCertificate(folder, 'theirs'), issueCertificate(folder, 'elsewhere', ['DNS:localhost', 'IP:10.9.8.7'])]
  const tlsBy = ({ certFile, keyFile }: typeof ours): string[] => [`tls { cert_file: ${JSON.stringify(certFile)}, key_file: ${JSON.stringify(keyFile)} }`]
  const [plain, safe, other] = await Promise.all([[], tlsBy(ours), tlsBy(elsewhere)].map((config) => startNatsServer(t, { config })))
  await assertRefused(t, [
    { what: 'wrong authority', args: [...DECODE, '--nats', safe!.url, '--nats-ca', theirs.caFile], code: 1, says: /unable to verify.*Check --nats-ca/ },
    { what: 'no authority', args: [...ROUTER, '--nats', `tls://127.0.0.1:${portOf(safe!)}`], code: 1, says: /unable to verify.*Check --nats-ca/ },
    { what: 'other host', args: [...DECODE, '--nats', other!.url, '--nats-ca', elsewhere.caFile], code: 1, says: /127\.0\.0\.1 is not in the cert's list.*the host name in the URL/ },
    { what: 'no TLS', args: [...DECODE, '--nats', plain!.url, '--nats-ca', ours.caFile], code: 1, says: /the server offers no TLS.*leave out tls:\/\/ and --nats-ca/ },
    { what: 'no certificate', args: [...ROUTER, '--nats', plain!.url, '--ssl-certfile', notes, '--ssl-keyfile', ours.keyFile], code: 2, says: /ssl-certfile: \S+ is not a PEM certificate/ },
    { what: "another's key", args: [...ROUTER, '--nats', plain!.url, '--ssl-certfile', ours.certFile, '--ssl-keyfile', theirs.keyFile], code: 2, says: /ssl-keyfile: \S+ is not the key of the certificate in/ },
    { what: 'no authority for KV', args: [...DECODE, '--nats', plain!.url, '--cluster-certfile', ours.certFile, '--cluster-keyfile', ours.keyFile, '--cluster-ca-certs', notes], code: 2, says: /cluster-ca-certs: \S+ is not a PEM certificate/ },
    { what: 'no TLS by URL', args: [...ROUTER, '--nats', `tls://127.0.0.1:${portOf(plain!)}`], code: 1, says: /the server offers no TLS/ },
  ])
})

test('a port that is taken, a model that is not there, and a door open to everybody are refused by the name of their flag', async (t) => {
  const nats = await startNatsServer(t)
  const busy = createServer().listen(0, '127.0.0.1')
  t.after(() => busy.close())
  await new Promise((resolve) => busy.once('listening', resolve))
  const port = String((busy.address() as AddressInfo).port)
  const [router, decode] = [[...ROUTER, '--nats', nats.url], [...DECODE, '--nats', nats.url]]
  const taken = (flag: string): RegExp => new RegExp(`${port} is taken.*${flag}`)
  const others = ['--host', '0.0.0.0']
  await assertRefused(t, [
    { what: 'http port', args: [...router, '--port', port], code: 1, says: taken('--port') },
    { what: 'grpc port', args: [...router, '--grpc-port', port], code: 1, says: taken('--grpc-port') },
    { what: 'admin port', args: [...router, '--admin-port', port], code: 1, says: taken('--admin-port') },
    { what: 'kv port', args: [...decode, '--kv-port', port], code: 1, says: taken('--kv-port') },
    { what: 'metrics port', args: [...decode, '--metrics-port', port], code: 1, says: taken('--metrics-port') },
    { what: 'router without model', args: [...router, '--model', '/nowhere'], code: 1, says: /\/nowhere/ },
    { what: 'decode without model', args: [...decode, '--model', '/nowhere'], code: 1, says: /\/nowhere/ },
    { what: 'open doors', args: [...router, ...others, '--admin-port', '0'], code: 2, says: /host: 0\.0\.0\.0 .*--api-key.*--insecure/ },
    { what: 'open KV', args: [...decode, ...others], code: 2, says: /host: 0\.0\.0\.0 .*--cluster-certfile.*--insecure/ },
    { what: 'half a certificate', args: [...decode, ...others, '--cluster-certfile', '/nowhere.pem'], code: 2, says: /cluster-keyfile: is missing/ },
  ])
})

const PROMPT = `${'The quality of mercy is not strained. '.repeat(20)}PORTIA:\n`

async function complete({ http }: Service, maxTokens = 12): Promise<readonly number[]> {
  const body = { prompt: PROMPT, max_tokens: maxTokens, temperature: 0.7, seed: 5, ignore_eos: true, return_token_ids: true }
  const response = await fetch(`${http}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  assert.equal(response.status, 200)
  return ((await response.json()) as { choices: { token_ids: number[] }[] }).choices[0]!.token_ids
}

const isHealthy = async ({ http }: Service): Promise<boolean> => (await fetch(`${http}/health`)).status === 200
const linesWith = (service: Service, text: string): string[] => service.log().split('\n').filter((line) => line.includes(text))

test('instances that differ from the router in block size, cell size or model never get a request from it; it says so once each', async (t) => {
  const nats = await startNatsServer(t)
  const services = new Services(t, { natsUrl: nats.url, modelFlags: SYNTHETIC })
  const [router, ...misfits] = await Promise.all([
    services.router('r1', ['--placement', 'disaggregated']), services.decode('blocks', ['--block-size', '32', '--metrics-port', '0']),
    services.decode('cells', ['--prefill-cell-tokens', '64']), services.decode('weights', ['--model', path.resolve('models/shakespeare-draft')]),
  ])
  await until(() => linesWith(router, 'whose model this router does not serve').length === 3)
  assert.equal(await isHealthy(router), false)
  const unserved = await fetch(`${router.http}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"prompt": "x", "max_tokens": 1}' })
  assert.equal(unserved.status, 503)

  const prefill = await services.prefill('p1')
  await until(() => isHealthy(router))
  const tokens = await complete(router)
  const fitting = await services.decode('d1', ['--metrics-port', '0'])
  await until(() => linesWith(router, '"msg":"instance joined"').length === 2)
  assert.deepEqual(await complete(router), tokens)
  for (const { name } of misfits) assert.equal(linesWith(router, 'whose model this router does not serve').filter((line) => line.includes(`"${name}"`)).length, 1)
  const metrics = await (await fetch(`http://${misfits[0].fields['metrics']}/metrics`)).text()
  assert.match(metrics, /^rubato_instance_kv_transferred_bytes_total\{.*direction="pulled".*\} 0$/m)
  assert.deepEqual(await Promise.all([router, prefill, fitting, ...misfits].map((service) => service.stop())), [0, 0, 0, 0, 0, 0])
})

test('a name that is in use, and a cluster of another protocol, refuse the newcomer; foreign messages are dropped and told once', async (t) => {
  const nats = await startNatsServer(t)
  const services = new Services(t, { natsUrl: nats.url, modelFlags: SYNTHETIC })
  const [router, decode] = await Promise.all([services.router('r1'), services.decode('d1')])
  await until(() => isHealthy(router))
  const before = await complete(router)

  await Promise.all([
    assert.rejects(services.decode('d1'), /d1 ended with code 1 before it was ready[^]*error: the instance name d1 is in use in this cluster: give each process its own/),
    assert.rejects(services.router('r1'), /r1 ended with code 1 before it was ready[^]*error: the router name r1 is in use in this cluster/),
  ])
  assert.deepEqual(await complete(router), before)

  const raw = await connect({ servers: nats.url })
  t.after(() => raw.close())
  const [, address] = /"address":"(instance\/d1@\w+)"/.exec(router.log()) ?? []
  // A message of major 2: whatever follows its version.
  const foreign = Uint8Array.of(0x94, 2, 0, 0xa5, ...Buffer.from('alien'), 0xc0)
  for (let count = 0; count < 3; count += 1) raw.publish(`rubato.test.to.${address!.replaceAll('/', '.')}`, foreign)
  await raw.flush()
  await until(() => linesWith(decode, 'protocol_mismatch').length > 0)
  assert.deepEqual(await complete(router), before)
  assert.equal(linesWith(decode, 'protocol_mismatch').length, 1)
  assert.match(linesWith(decode, 'protocol_mismatch')[0]!, /"from":"alien".*"major":2/)

  // A member of major 2 that came in all the same: nobody's business here, for as long as its lease lasts.
  const leases = await new Kvm(raw).open('rubato-test-leases-2000')
  await leases.create('instance.alien', JSON.stringify({ kind: 'instance', name: 'alien', address: 'instance/alien@1', protocol: '2.3', modelFingerprint: 'any' }))
  await until(() => linesWith(router, 'speaks another protocol').length === 1)
  assert.match(linesWith(router, 'speaks another protocol')[0]!, /"instance":"alien".*"protocol":"2\.3"/)
  assert.deepEqual(await complete(router), before)

  const other = await connectNats({ servers: [nats.url], cluster: 'next', name: 'later' })
  t.after(() => other.close())
  await other.membership.join({ kind: 'instance', name: 'later', address: 'instance/later@1', protocol: '2.0', modelFingerprint: 'any' })
  const newcomer = services.start('newcomer', [...DECODE, '--nats', nats.url, '--cluster', 'next'])
  await assert.rejects(newcomer, /ended with code 1 before it was ready[^]*error: the cluster speaks protocol 2\.0 \(instance later\), this process 1\.\d+: run the same major version, or use another --cluster/)
  assert.deepEqual(await Promise.all([router.stop(), decode.stop()]), [0, 0])
})

test('a router and an instance whose wall clocks are an hour ahead change nothing', async (t) => {
  const nats = await startNatsServer(t)
  const options = { natsUrl: nats.url, modelFlags: SYNTHETIC }
  const services = new Services(t, options)
  const skewed = new Services(t, { ...options, env: { NODE_OPTIONS: `--import ${path.resolve(import.meta.dirname, 'fixtures/skewed-clock.ts')}` } })
  const [router, prefill, late, decode] = await Promise.all([
    services.router('r1', ['--placement', 'disaggregated']), services.prefill('p1'), skewed.router('r2', ['--placement', 'disaggregated']), skewed.decode('d1'),
  ])
  await until(async () => await isHealthy(router) && await isHealthy(late))
  await until(() => [router, late].every((each) => linesWith(each, '"msg":"instance joined"').length === 2))
  const logMs = (service: Service): number => Number(/"time":(\d+)/.exec(service.log())?.[1])
  assert.ok(logMs(decode) - logMs(prefill) > 3_000_000, 'the clock is an hour ahead')
  // Longer than a lease.
  const [here, there] = await Promise.all([complete(router, 500), complete(late, 500)])
  assert.deepEqual(there, here)
  for (const each of [router, late]) {
    assert.match(await (await fetch(`${each.http}/metrics`)).text(), /^rubato_recoveries_total(\{.*\})? 0$/m)
    assert.deepEqual(linesWith(each, 'instance gone'), [])
  }
  assert.deepEqual(await Promise.all([router, prefill, late, decode].map((service) => service.stop())), [0, 0, 0, 0])
})
