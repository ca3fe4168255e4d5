import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Flag, FlagTable, FlagValue } from '../flags/flag.ts'
import { EVERY_FLAG, INSTANCE_FLAGS, MIGRATOR_FLAGS, ROUTER_FLAGS, SERVE_FLAGS, SPECULATOR_FLAGS } from './command-flags.ts'

const CHECKPOINT = ['model', 'served-model-name', 'dtype', 'quantization', 'device', 'chat-template', 'engine', 'block-size', 'prefill-cell-tokens', 'max-model-len', 'cache-dir']
const ROUTING = [
  'generation-config', 'seed', 'tokenizer-threads', 'dispatch', 'placement', 'migration', 'max-concurrent-requests', 'queue-size',
  'queue-timeout-secs', 'migration-limit',
]
const HOST = ['host', 'insecure']
const DOORS = ['port', 'grpc-port', 'admin-port', 'api-key', 'ssl-certfile', 'ssl-keyfile', 'ssl-ca-certs']
const SCHEDULING = ['max-num-seqs', 'max-num-batched-tokens', 'enable-prefix-caching', 'batching', 'orphan-ttl', 'speculation', 'draft', 'speculative-config', 'drafting']
const ENGINE = ['kv-cache-memory-bytes', 'intra-op-threads', 'profile', 'profile-budget-secs']
const CLUSTER = ['nats', 'cluster', 'instance-id', 'nats-creds', 'nats-token', 'nats-nkey', 'nats-ca', 'nats-certfile', 'nats-keyfile']
const KV = ['kv-port', 'advertise-address', 'cluster-certfile', 'cluster-keyfile', 'cluster-ca-certs']
const PROCESS = ['shutdown-timeout', 'config', 'log-level', 'otlp-traces-endpoint']

const flags: readonly (readonly [string, Flag<FlagValue>])[] = Object.entries(EVERY_FLAG)

/** Flag names are an API: whoever changes these lists breaks scripts. */
test('the names of the flags, command by command', () => {
  const counts = ['prefill', 'decode', 'mixed', 'speculators']
  assert.deepEqual(Object.keys(SERVE_FLAGS), [...CHECKPOINT, ...ROUTING, ...HOST, ...DOORS, ...counts, ...SCHEDULING, ...ENGINE, ...CLUSTER, ...KV, ...PROCESS])
  assert.deepEqual(Object.keys(ROUTER_FLAGS), [...CLUSTER, 'instance-cpu', ...CHECKPOINT, ...ROUTING, ...HOST, ...DOORS, ...PROCESS])
  assert.deepEqual(Object.keys(INSTANCE_FLAGS), [...CLUSTER, ...KV, ...CHECKPOINT, 'role', ...HOST, 'metrics-port', ...SCHEDULING, ...ENGINE, ...PROCESS])
  assert.deepEqual(Object.keys(MIGRATOR_FLAGS), [...CLUSTER, ...HOST, 'metrics-port', ...PROCESS])
  const listener = ['draft-port', ...KV.slice(1)]
  assert.deepEqual(Object.keys(SPECULATOR_FLAGS), [...CLUSTER, ...listener, 'model', 'max-model-len', 'block-size', 'draft', 'engine', ...HOST, 'metrics-port', 'kv-cache-memory-bytes', 'intra-op-threads', ...PROCESS])
})

test('a flag that several commands have is one definition, but for what the command changes', () => {
  const differing = (a: FlagTable, b: FlagTable): string[] => Object.keys(a).filter((name) => name in b && a[name] !== b[name])
  assert.deepEqual(differing(SERVE_FLAGS, ROUTER_FLAGS), ['admin-port', 'nats'])
  assert.deepEqual(differing(SERVE_FLAGS, INSTANCE_FLAGS), ['nats'])
  assert.deepEqual(differing(ROUTER_FLAGS, INSTANCE_FLAGS), [])
  assert.deepEqual(differing(SPECULATOR_FLAGS, INSTANCE_FLAGS), ['draft'])
})

test('every default is a value that its flag accepts, as a scalar and as text', () => {
  for (const [name, { schema, fallback }] of flags) {
    assert.deepEqual(schema.parse(fallback), fallback, name)
    if (fallback !== null) assert.deepEqual(schema.parse(String(fallback)), fallback, name)
  }
})

test('no flag accepts what no flag can mean: objects, lists, half numbers, empty text', () => {
  for (const [name, { schema }] of flags) {
    for (const value of [{}, [], [1], Number.NaN, Number.POSITIVE_INFINITY, '', -1]) {
      assert.equal(schema.safeParse(value).success, false, `${name} accepts ${JSON.stringify(value)}`)
    }
  }
})

test('no two flags share a spelling', () => {
  const spellings = flags.flatMap(([name, { aliases = [], placeholder }]) => [name, ...aliases, ...(placeholder === null ? [`no-${name}`] : [])])
  assert.equal(new Set(spellings).size, spellings.length)
})

test('a value that is named but not built is refused as not available', () => {
  const unbuilt: readonly (readonly [keyof typeof SERVE_FLAGS, readonly (string | number)[]])[] = [
    ['device', ['cuda', 'cuda:1', 'webgpu']],
    ['dtype', ['float16', 'bfloat16', 'half']],
  ]
  for (const [name, values] of unbuilt) {
    const { schema }: Flag<FlagValue> = SERVE_FLAGS[name]
    for (const value of values) assert.match(schema.safeParse(value).error?.issues[0]?.message ?? 'accepted', /not available in this version; use/, `${name} ${value}`)
  }
})

test('every policy of dispatch and placement can be named', () => {
  for (const name of ['slo', 'freeness', 'jsq', 'kv-aware', 'round-robin']) assert.equal(SERVE_FLAGS.dispatch.schema.parse(name), name)
  for (const name of ['auto', 'disaggregated', 'colocated']) assert.equal(SERVE_FLAGS.placement.schema.parse(name), name)
})

test('NATS servers are one or several URLs', () => {
  const { schema } = ROUTER_FLAGS.nats
  for (const url of ['nats://127.0.0.1:4222', 'n1:4222,n2:4222', 'tls://u:p%40@nats.example:4222, nats://[::1]:4222', 'nats', 'tls://n']) assert.ok(schema.safeParse(url).success, url)
  for (const url of ['http://n:1', 'wss://n', 'nats://', 'nats://a b', 'a,,b', 'nats://n/path']) assert.ok(!schema.safeParse(url).success, url)
})
