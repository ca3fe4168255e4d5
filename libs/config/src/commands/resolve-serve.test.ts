import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidArgument } from '../errors.ts'
import { resolveServeConfig } from './resolve.ts'
import { defaultCacheDir } from '../sources/machine.ts'
import type { Machine } from '../sources/machine.ts'
import type { ConfigSources } from '../sources/read-values.ts'

const GIB = 2 ** 30
const machine: Machine = { availableParallelism: 4, totalMemoryBytes: 16 * GIB, homeDir: '/home/ada', repoRoot: '/opt/rubato', cwd: '/srv', hostName: 'box', processId: 7, addresses: [] }
const resolve = (flags: Record<string, unknown> = {}, rest: Partial<ConfigSources> = {}) => resolveServeConfig({ flags, env: {}, file: null, machine, ...rest })
const inFile = (values: Record<string, unknown>): Partial<ConfigSources> => ({ file: { path: '/etc/rubato/rubato.yaml', values } })

function refusal(flags: Record<string, unknown>, rest: Partial<ConfigSources> = {}): string {
  try {
    resolve(flags, rest)
  } catch (error) {
    assert.ok(error instanceof InvalidArgument)
    return `${error.field}: ${error.message}`
  }
  return assert.fail(`${JSON.stringify(flags)} was accepted`)
}

test('with nothing set, the documented defaults hold', () => {
  assert.deepEqual(resolve(), {
    modelDir: '/opt/rubato/models/shakespeare-target',
    servedModelName: 'shakespeare-target',
    dtype: 'float32',
    device: 'cpu',
    engine: { kind: 'onnx' },
    chatTemplate: null,
    blockSize: 64,
    prefillCellTokens: 128,
    maxModelLen: null,
    cacheDir: '/home/ada/.cache/rubato',
    kvCacheBytes: GIB,
    intraOpThreads: 4,
    profile: 'auto',
    profileBudgetMs: 10_000,
    maxNumSeqs: 64,
    maxNumBatchedTokens: 512,
    enablePrefixCaching: true,
    batching: 'tempo',
    speculation: { policy: 'off', proposer: 'draft', draftDir: null, drafting: 'auto' },
    orphanTtlMs: 10_000,
    generationConfig: 'auto',
    seed: null,
    tokenizerThreads: 1,
    dispatch: 'slo',
    placement: 'auto',
    migration: 'llumnix',
    maxConcurrentRequests: null,
    queueSize: 256,
    queueTimeoutMs: 60_000,
    migrationLimit: 3,
    host: '127.0.0.1',
    insecure: false,
    httpPort: 8000,
    grpcPort: 50051,
    adminPort: null,
    apiKey: null,
    tls: null,
    shutdownTimeoutMs: 30_000,
    logLevel: 'info',
    tracing: null,
    numPrefill: 0,
    numDecode: 0,
    numMixed: 1,
    numSpeculators: 0,
    link: null,
  })
})

test('values arrive alike from flags, environment and file', () => {
  const expected = { ...resolve(), httpPort: 9000, kvCacheBytes: 512 * 2 ** 20, enablePrefixCaching: false, queueTimeoutMs: 1500, seed: 7, dtype: 'int8', logLevel: 'warn', maxConcurrentRequests: 10 }
  const flags = { port: '9000', 'kv-cache-memory-bytes': '512MiB', 'enable-prefix-caching': false, 'queue-timeout-secs': '1.5', seed: '7', quantization: 'int8', 'log-level': 'warn', 'max-concurrent-requests': '10' }
  const env = { RUBATO_PORT: '9000', RUBATO_KV_CACHE_MEMORY_BYTES: '512MiB', RUBATO_ENABLE_PREFIX_CACHING: 'false', RUBATO_QUEUE_TIMEOUT_SECS: '1.5', RUBATO_SEED: '7', RUBATO_QUANTIZATION: 'int8', RUBATO_LOG_LEVEL: 'warn', RUBATO_MAX_CONCURRENT_REQUESTS: '10' }
  const file = { port: 9000, kv_cache_memory_bytes: '512MiB', enable_prefix_caching: false, queue_timeout_secs: 1.5, seed: 7, quantization: 'int8', log_level: 'warn', max_concurrent_requests: 10 }
  assert.deepEqual(resolve(flags), expected)
  assert.deepEqual(resolve({}, { env }), expected)
  assert.deepEqual(resolve({}, inFile(file)), expected)
})

test('a flag can take back what environment or file set', () => {
  const env = { RUBATO_QUANTIZATION: 'int8', RUBATO_SEED: '7', RUBATO_MAX_MODEL_LEN: '100', RUBATO_MAX_CONCURRENT_REQUESTS: '1', RUBATO_ENABLE_PREFIX_CACHING: '0' }
  assert.deepEqual(resolve({ quantization: 'none', seed: 'none', 'max-model-len': 'auto', 'max-concurrent-requests': 'none', 'enable-prefix-caching': true }, { env }), resolve())
})

test('relative paths start where they were written', () => {
  assert.equal(resolve({ model: 'm' }).modelDir, '/srv/m')
  assert.equal(resolve({}, { env: { RUBATO_CACHE_DIR: '../c' } }).cacheDir, '/c')
  assert.equal(resolve({}, inFile({ model: './m' })).modelDir, '/etc/rubato/m')
  assert.equal(resolve({}, inFile({ model: '~/m' })).modelDir, '/home/ada/m')
  assert.equal(resolve({ 'chat-template': 't.jinja' }).chatTemplate, '/srv/t.jinja')
  assert.equal(resolve({ 'chat-template': '{{ messages }}' }).chatTemplate, '{{ messages }}')
  assert.equal(resolve({ 'generation-config': 'vllm' }).generationConfig, 'vllm')
  assert.equal(resolve({ 'generation-config': 'g' }).generationConfig, '/srv/g')
  assert.equal(resolve({ profile: 'refresh' }).profile, 'refresh')
  assert.equal(resolve({ profile: 'p.json' }).profile, '/srv/p.json')
})

test('the served name is the directory, unless given', () => {
  assert.equal(resolve({ model: '/models/Qwen3-0.6B/' }).servedModelName, 'Qwen3-0.6B')
  assert.equal(resolve({ model: '/models/Qwen3-0.6B', 'served-model-name': 'qwen' }).servedModelName, 'qwen')
})

test('instances share cores and a quarter of the memory', () => {
  const small = { machine: { ...machine, availableParallelism: 64, totalMemoryBytes: 2 * GIB } }
  assert.equal(resolve({}, small).kvCacheBytes, GIB / 2)
  assert.equal(resolve({}, small).intraOpThreads, 8)
  assert.equal(resolve({ mixed: '4' }, small).kvCacheBytes, GIB / 8)
  assert.equal(resolve({ mixed: '4' }).intraOpThreads, 1)
  assert.equal(resolve({ mixed: '64' }).intraOpThreads, 1)
  assert.equal(resolve({ mixed: '64', 'intra-op-threads': '2', 'kv-cache-memory-bytes': '1MiB' }).intraOpThreads, 2)
})

test('the cache directory follows XDG_CACHE_HOME when that is absolute', () => {
  assert.equal(defaultCacheDir({ XDG_CACHE_HOME: '/var/cache' }, '/home/ada'), '/var/cache/rubato')
  assert.equal(defaultCacheDir({ XDG_CACHE_HOME: 'cache' }, '/home/ada'), '/home/ada/.cache/rubato')
})

test('a wrong value is refused with its flag, its source and what is accepted', () => {
  assert.equal(refusal({ port: 'abc' }), 'port: "abc" (from --port): must be a whole number from 0 to 65535')
  assert.equal(refusal({}, { env: { RUBATO_HTTP_PORT: '65536' } }), 'port: "65536" (from RUBATO_HTTP_PORT): must be a whole number from 0 to 65535')
  assert.equal(refusal({}, inFile({ max_num_seqs: 0 })), 'max-num-seqs: 0 (from max_num_seqs in /etc/rubato/rubato.yaml): must be a whole number from 1 to 4096')
  assert.match(refusal({ batching: 'fifo' }), /^batching: "fifo" .*: must be one of tempo, sarathi, prefill-first, orca$/)
  assert.match(refusal({ 'kv-cache-memory-bytes': '2G' }), /such as 512MiB or 2GiB$/)
  assert.match(refusal({ 'block-size': '12' }), /^block-size: .* multiple of 8/)
  assert.match(refusal({ 'queue-timeout-secs': 'inf' }), /^queue-timeout-secs: .* seconds/)
  assert.match(refusal({ host: 'http://localhost' }), /^host: .* without scheme/)
  assert.match(refusal({ seed: '9007199254740993' }), /^seed: /)
  assert.match(refusal({}, inFile({ 'served-model-name': 7 })), /^served-model-name: 7 .* in quotes$/)
  assert.match(refusal({}, inFile({ model: ['a'] })), /^model: \["a"\] .* must be text/)
  assert.match(refusal({ device: 'cuda' }), /^device: .* not available in this version; use cpu$/)
})

test('a secret is not repeated', () => {
  const message = refusal({ 'api-key': 'hush hush' })
  assert.match(message, /^api-key: \(from --api-key\): must be printable/)
  assert.doesNotMatch(message, /hush/)
})

test('others can reach the server only with a key, or when that is wanted', () => {
  for (const host of ['0.0.0.0', '::', '192.168.1.5', 'example.org', '128.0.0.1']) assert.match(refusal({ host }), /^host: .* --api-key KEY, or --insecure/)
  for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', '::1']) assert.equal(resolve({ host }).host, host)
  assert.equal(resolve({ host: '0.0.0.0', 'api-key': 'k' }).apiKey, 'k')
  assert.equal(resolve({ host: '0.0.0.0', insecure: true }).host, '0.0.0.0')
})

test('TLS needs certificate and key together', () => {
  assert.match(refusal({ 'ssl-certfile': 'c.pem' }), /^ssl-keyfile: is missing, but --ssl-certfile is given \(from --ssl-certfile\)/)
  assert.match(refusal({ 'ssl-keyfile': 'k.pem' }), /^ssl-certfile: is missing/)
  assert.match(refusal({ 'ssl-ca-certs': 'ca.pem' }), /^ssl-certfile: is missing/)
  assert.deepEqual(resolve({ 'ssl-certfile': 'c.pem', 'ssl-keyfile': 'k.pem' }).tls, { certFile: '/srv/c.pem', keyFile: '/srv/k.pem', caFile: null })
  assert.equal(resolve({ 'ssl-certfile': 'c.pem', 'ssl-keyfile': 'k.pem', 'ssl-ca-certs': 'ca.pem' }).tls?.caFile, '/srv/ca.pem')
})

test('a step must hold every sequence and one cell', () => {
  assert.equal(resolve({ 'max-num-seqs': '64', 'max-num-batched-tokens': '192' }).maxNumBatchedTokens, 192)
  assert.match(refusal({ 'max-num-batched-tokens': '191' }), /^max-num-batched-tokens: 191 \(from --max-num-batched-tokens\) is too few: .* at least 192/)
  assert.match(refusal({ 'max-num-seqs': '500' }), /^max-num-batched-tokens: 512 \(the default\) is too few: .* at least 628/)
})

test('a cell is made of whole blocks', () => {
  assert.match(refusal({ 'block-size': '48' }), /^prefill-cell-tokens: 128 \(the default\) must be a multiple of --block-size 48/)
  assert.equal(resolve({ 'block-size': '32', 'prefill-cell-tokens': '96' }).prefillCellTokens, 96)
})

test('mixed instances are the default only where no other kind is asked for', () => {
  const counts = (flags: Record<string, unknown>): number[] => {
    const { numPrefill, numDecode, numMixed, intraOpThreads } = resolve(flags)
    return [numPrefill, numDecode, numMixed, intraOpThreads]
  }
  assert.deepEqual(counts({}), [0, 0, 1, 4])
  assert.deepEqual(counts({ prefill: '1', decode: '1' }), [1, 1, 0, 2])
  assert.deepEqual(counts({ decode: '2' }), [0, 2, 0, 2])
  assert.deepEqual(counts({ prefill: '1', decode: '2', mixed: '1' }), [1, 2, 1, 1])
  assert.match(refusal({ mixed: '0' }), /^mixed: is 0, .* at least one instance/)
})

test('a synthetic engine can have a speed', () => {
  assert.deepEqual(resolve({ engine: 'synthetic' }).engine, { kind: 'synthetic', stepMs: null })
  assert.deepEqual(resolve({ engine: 'synthetic:2.5' }).engine, { kind: 'synthetic', stepMs: 2.5 })
  assert.match(refusal({ engine: 'magic' }), /^engine: "magic" .* onnx, synthetic/)
})

test('the two ports differ, unless both are chosen freely', () => {
  assert.match(refusal({ port: '50051' }), /^grpc-port: 50051 \(the default\) is also the HTTP port \(from --port\)/)
  assert.equal(resolve({ port: '0', 'grpc-port': '0', 'admin-port': '0' }).grpcPort, 0)
  assert.match(refusal({ 'admin-port': '8000' }), /^admin-port: 8000 \(from --admin-port\) is also the HTTP port \(the default\)/)
  assert.equal(resolve({ 'admin-port': '1' }).adminPort, 1)
  assert.equal(resolve({ 'admin-port': 'none' }, { env: { RUBATO_ADMIN_PORT: '1' } }).adminPort, null)
})

test('the bundled draft goes with the bundled model; another model has none unless it is named', () => {
  assert.equal(resolve({ speculation: 'auto' }).speculation.draftDir, '/opt/rubato/models/shakespeare-draft')
  assert.equal(resolve({ model: '/m', speculation: 'auto' }).speculation.draftDir, null)
  assert.deepEqual(resolve({ model: '/m', draft: '/d' }).speculation, { policy: 'auto', proposer: 'draft', draftDir: '/d', drafting: 'auto' })
  assert.equal(resolve({ draft: 'none' }).speculation.draftDir, null)
  assert.equal(resolve({ speculation: 'off' }).speculation.draftDir, null)
  assert.equal(resolve({ engine: 'synthetic' }).speculation.draftDir, null)
  for (const policy of ['auto', 'off', 'static:4', 'ngram', 'smartspec', 'adaserve']) assert.equal(resolve({ speculation: policy }).speculation.policy, policy)
  assert.match(refusal({ speculation: 'static:K' }), /^speculation: .* must be one of auto, off, static:K/)
})

test("vLLM's speculative config is mapped, or refused by the name of what is missing", () => {
  const mapped = (config: object): object => resolve({ 'speculative-config': JSON.stringify(config) }).speculation
  assert.deepEqual(mapped({ method: 'ngram', num_speculative_tokens: 4 }), { policy: 'static:4', proposer: 'ngram', draftDir: null, drafting: 'auto' })
  assert.deepEqual(mapped({ method: 'suffix' }), { policy: 'ngram', proposer: 'suffix', draftDir: null, drafting: 'auto' })
  assert.deepEqual(mapped({ model: '/d', num_speculative_tokens: 3 }), { policy: 'static:3', proposer: 'draft', draftDir: '/d', drafting: 'auto' })
  const refused = (config: object, flags: object = {}): string => refusal({ 'speculative-config': JSON.stringify(config), ...flags })
  assert.match(refused({ method: 'eagle3', num_speculative_tokens: 3 }), /asks for method eagle3, which is not available; use draft_model, ngram, suffix$/)
  assert.match(refused({ method: 'ngram', prompt_lookup_max: 4 }), /holds prompt_lookup_max, which is not available/)
  assert.match(refused({ num_speculative_tokens: 3 }, { model: '/m' }), /asks for a draft model/)
  assert.match(refused({ method: 'ngram' }, { speculation: 'smartspec' }), /contradict each other/)
  assert.match(refusal({ 'speculative-config': 'ngram' }), /must be a JSON object/)
})
