import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Flag, FlagValue } from '../flags/flag.ts'
import { SERVE_FLAGS, SERVE_FLAG_NAMES } from './serve-flags.ts'

/** Flag names are an API: whoever changes this list breaks scripts. */
const NAMES = [
  'model', 'served-model-name', 'dtype', 'quantization', 'device', 'max-model-len', 'chat-template', 'generation-config', 'seed',
  'host', 'port', 'grpc-port', 'api-key', 'insecure', 'ssl-certfile', 'ssl-keyfile', 'ssl-ca-certs',
  'mixed', 'max-num-seqs', 'max-num-batched-tokens', 'prefill-cell-tokens', 'enable-prefix-caching', 'batching', 'dispatch', 'placement', 'migration', 'speculation',
  'block-size', 'kv-cache-memory-bytes', 'intra-op-threads', 'tokenizer-threads', 'profile', 'profile-budget-secs', 'cache-dir',
  'max-concurrent-requests', 'queue-size', 'queue-timeout-secs', 'migration-limit', 'shutdown-timeout',
  'config', 'log-level',
  'draft', 'prefill', 'decode', 'speculators', 'nats', 'speculative-config', 'otlp-traces-endpoint',
]

const flags: readonly (readonly [string, Flag<FlagValue>])[] = SERVE_FLAG_NAMES.map((name) => [name, SERVE_FLAGS[name]])

test('the names of the flags', () => {
  assert.deepEqual(SERVE_FLAG_NAMES, NAMES)
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
    ['dispatch', ['slo', 'freeness', 'kv-aware', 'round-robin']],
    ['placement', ['disaggregated']],
    ['migration', ['llumnix']],
    ['speculation', ['static:4', 'ngram', 'smartspec', 'adaserve']],
    ['draft', ['models/shakespeare-draft']],
    ['prefill', ['1', 2]],
    ['decode', ['1', 2]],
    ['speculators', ['1', 1]],
    ['nats', ['nats://127.0.0.1:4222']],
    ['speculative-config', ['{"method":"ngram"}']],
    ['otlp-traces-endpoint', ['http://127.0.0.1:4317']],
  ]
  for (const [name, values] of unbuilt) {
    const { schema }: Flag<FlagValue> = SERVE_FLAGS[name]
    for (const value of values) assert.match(schema.safeParse(value).error?.issues[0]?.message ?? 'accepted', /not available in this version; (use|leave it at)/, `${name} ${value}`)
  }
})
