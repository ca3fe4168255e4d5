// Speculators as processes of a cluster: requests emit what they emit without drafts while a speculator drafts for them, is stopped,
// killed, slow, answers garbage or speaks another vocabulary; it is used again when it is back, and forgets what is gone.
import assert from 'node:assert/strict'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { PROTOCOL_VERSION, connectNats } from '@rubato/bus'
import type { AnsweredTree, DraftAsk, DraftRequestMessage } from '@rubato/model'
import { draftDoor, startGrpcServer } from '@rubato/rpc'
import type { DraftSessionLink } from '@rubato/rpc'
import { TcpProxy, startNatsServer, temporaryFolder } from '@rubato/testing'
import { TARGET_DIR, startCluster, until } from './support/cluster.ts'
import { metricOf } from './support/operator.ts'
import { Services } from './support/processes.ts'
import type { Service } from './support/processes.ts'

const DRAFT_DIR = path.join(path.dirname(TARGET_DIR), 'shakespeare-draft')
const REMOTE = ['--drafting', 'remote', '--speculation', 'static:4', '--metrics-port', '0']
/** Steps that take long and compute nothing: what is waited for, and used, is the same on a busy machine. */
const SYNTHETIC = ['--engine', 'synthetic:12']
const SHORT_STEPS = ['--engine', 'synthetic:6']
const MAX_TOKENS = 48
const PROMPTS = ['ROMEO:\nBut soft', 'First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\n', 'KING RICHARD III:\nA horse! ']

interface CompletionAnswer {
  readonly choices: readonly { readonly token_ids: readonly number[] }[]
}

async function complete(http: string, body: object): Promise<readonly (readonly number[])[]> {
  const asked = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ max_tokens: MAX_TOKENS, ignore_eos: true, return_token_ids: true, ...body }) }
  let response = await fetch(`${http}/v1/completions`, asked)
  // A router that was starved of its lease is back soon.
  for (; response.status === 503; response = await fetch(`${http}/v1/completions`, asked)) await delay(100)
  assert.equal(response.status, 200)
  return ((await response.json()) as CompletionAnswer).choices.map((choice) => choice.token_ids)
}

/** The same requests every time, at once: greedy and sampled, one and two choices. */
function ask(http: string): Promise<readonly (readonly (readonly number[])[])[]> {
  return Promise.all(PROMPTS.map((prompt, index) => complete(http, { prompt, seed: 7 + index, temperature: index === 0 ? 0 : 0.8, n: index === 2 ? 2 : 1 })))
}

class Watched {
  readonly #service: Service
  constructor(service: Service) {
    this.#service = service
  }

  get #url(): string {
    return `http://${this.#service.fields['metrics']}`
  }

  accepted(): Promise<number> {
    return metricOf(this.#url, 'rubato_instance_accepted_draft_tokens_total')
  }

  trusted(): Promise<number> {
    return metricOf(this.#url, 'rubato_instance_speculators', '"trusted"')
  }

  failures(reason: string): Promise<number> {
    return metricOf(this.#url, 'rubato_instance_speculator_failures_total', `"${reason}"`)
  }

  /** Sequences that a speculator knows. */
  sequences(): Promise<number> {
    return metricOf(this.#url, 'rubato_speculator_sequences')
  }
}

test('drafts of a speculator change no token; stopped or killed it costs none, and back it is used again', async (t) => {
  const nats = await startNatsServer(t)
  const services = new Services(t, { natsUrl: nats.url, modelFlags: ['--max-model-len', '1024', ...SYNTHETIC] })
  const [router, decode] = await Promise.all([services.router('r1'), services.decode('d1', REMOTE)])
  const instance = new Watched(decode)
  await until(async () => (await fetch(`${router.http}/health`)).status === 200)
  const plain = await ask(router.http!)
  assert.equal(await instance.accepted(), 0)
  const asksUntil = async (holds: () => Promise<boolean>): Promise<void> => {
    do assert.deepEqual(await ask(router.http!), plain)
    while (!(await holds()))
  }
  const isUsed = async (): Promise<() => Promise<boolean>> => {
    const before = await instance.accepted()
    return async () => (await instance.accepted()) > before + 20
  }

  const first = await services.speculator('s1', [...SYNTHETIC, '--metrics-port', '0'])
  await asksUntil(await isUsed())
  t.diagnostic(`${await instance.accepted()} draft tokens accepted`)

  first.signal('SIGSTOP')
  await asksUntil(async () => (await instance.trusted()) === 0)
  first.signal('SIGCONT')
  await asksUntil(await isUsed())

  first.signal('SIGKILL')
  await asksUntil(async () => (await instance.trusted()) === 0)
  const second = await services.speculator('s2', [...SYNTHETIC, '--metrics-port', '0'])
  await asksUntil(await isUsed())

  // Whoever leaves is forgotten, wherever it was.
  const client = new AbortController()
  const stream = await fetch(`${router.http}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ prompt: PROMPTS[0], max_tokens: 900, ignore_eos: true, stream: true }), signal: client.signal })
  const speculator = new Watched(second)
  await until(async () => (await speculator.sequences()) > 0)
  client.abort()
  await stream.body!.cancel().catch(() => {})
  await until(async () => (await speculator.sequences()) === 0)
  assert.deepEqual(await Promise.all([second, decode, router].map((service) => service.stop())), [0, 0, 0])
})

/** A speculator of this process, as members of the cluster see it. */
async function joinAs(t: TestContext, natsUrl: string, name: string, endpoint: string): Promise<void> {
  const link = await connectNats({ servers: [natsUrl], cluster: 'test', name, log: () => {}, onProblem: () => {} })
  t.after(() => link.close())
  await link.membership.join({ kind: 'speculator', name, address: `speculator/${name}@1`, protocol: PROTOCOL_VERSION, modelFingerprint: null, endpoint })
}

const GARBAGE: readonly ((tree: AnsweredTree) => AnsweredTree)[] = [
  (tree) => ({ ...tree, tokenIds: [1e6] }), (tree) => ({ ...tree, parents: [3] }), (tree) => ({ ...tree, gaps: [Number.NaN] }), (tree) => ({ ...tree, numTokens: tree.numTokens + 1 }),
  (tree) => ({ ...tree, handle: tree.handle + 1000 }), (tree) => ({ ...tree, ranks: [] }),
]

/** Answers every ask at once with malformed trees; the first time rightly, so that it is waited for. */
function babbler(): (link: DraftSessionLink) => { readonly receive: (message: DraftRequestMessage) => void; readonly ended: () => void } {
  let numAnswers = 0
  return (link) => ({
    receive: (message) => {
      if (message.kind === 'draft-ask') link.reply({ kind: 'draft-answer', answer: { askId: message.ask.askId, trees: treesFor(message.ask, numAnswers++), unknown: [], queueMs: 0, draftMs: 0 } })
    },
    ended: () => {},
  })
}

function treesFor({ sequences }: DraftAsk, numAnswers: number): AnsweredTree[] {
  const trees = sequences.map(({ handle, firstToken, tokenIds }): AnsweredTree => ({ handle, numTokens: firstToken + tokenIds.length, tokenIds: [5], parents: [-1], ranks: [0], gaps: [1] }))
  return numAnswers === 0 ? trees : trees.map(GARBAGE[numAnswers % GARBAGE.length]!)
}

/** The same tokens under other ids. */
function otherVocabulary(t: TestContext): string {
  const folder = path.join(temporaryFolder(t), 'other')
  cpSync(TARGET_DIR, folder, { recursive: true })
  const file = path.join(folder, 'tokenizer.json')
  const tokenizer = JSON.parse(readFileSync(file, 'utf8')) as { model: { vocab: Record<string, number> } }
  const [a, b] = Object.keys(tokenizer.model.vocab).slice(-2) as [string, string]
  const { vocab } = tokenizer.model;
  [vocab[a], vocab[b]] = [vocab[b]!, vocab[a]!]
  writeFileSync(file, JSON.stringify(tokenizer))
  return folder
}

test('a speculator that is slow, one that answers garbage and one of another vocabulary are left alone, and cost no token', async (t) => {
  const nats = await startNatsServer(t)
  const services = new Services(t, { natsUrl: nats.url, modelFlags: ['--max-model-len', '1024', ...SHORT_STEPS] })
  const elsewhere = new Services(t, { natsUrl: nats.url, cluster: 'elsewhere' })
  const [router, decode, slow] = await Promise.all([services.router('r1'), services.decode('d1', REMOTE), elsewhere.speculator('s1', SHORT_STEPS)])
  const instance = new Watched(decode)
  await until(async () => (await fetch(`${router.http}/health`)).status === 200)
  const plain = await ask(router.http!)
  const asksUntil = async (holds: () => Promise<boolean>): Promise<void> => {
    do assert.deepEqual(await ask(router.http!), plain)
    while (!(await holds()))
  }

  const door = draftDoor(babbler())
  const server = await startGrpcServer({ host: '127.0.0.1', port: 0, portFlag: '--draft-port', tls: null, services: [door.service], ready: () => true, maxReceiveBytes: 1 << 20 })
  t.after(() => {
    door.endAll()
    return server.close(100)
  })
  await joinAs(t, nats.url, 'babbler', `127.0.0.1:${server.port}`)
  await asksUntil(async () => (await instance.failures('garbled')) >= 3 && (await instance.trusted()) === 0)

  const proxy = await TcpProxy.start({ targetPort: Number(slow.fields['draft']!.split(':')[1]) })
  t.after(() => proxy.close())
  proxy.delay(50)
  await joinAs(t, nats.url, 'slow', proxy.address)
  const lateBefore = await instance.failures('late')
  await asksUntil(async () => (await instance.failures('late')) > lateBefore && (await instance.trusted()) === 0)

  const foreign = await services.speculator('s3', [...SHORT_STEPS, '--model', otherVocabulary(t), '--draft', DRAFT_DIR])
  await asksUntil(async () => decode.log().includes('a speculator refused this instance'))
  assert.deepEqual(await ask(router.http!), plain)
  assert.deepEqual(await Promise.all([foreign, slow, decode, router].map((service) => service.stop())), [0, 0, 0, 0])
})

test('in one process the same speculator drafts for all instances, and changes no token', async (t) => {
  const speculation = { policy: 'static:4', proposer: 'draft', draftDir: DRAFT_DIR, drafting: 'remote' } as const
  const plain = await startCluster(t)
  const drafted = await startCluster(t, { speculation, numSpeculators: 1, numMixed: 2 })
  const [expected, url] = [await ask(`http://127.0.0.1:${plain.httpPort}`), `http://127.0.0.1:${drafted.httpPort}`]
  do assert.deepEqual(await ask(url), expected)
  while (!((await metricOf(url, 'vllm:spec_decode_num_accepted_tokens_total')) > 20))
})
