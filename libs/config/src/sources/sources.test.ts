import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidArgument } from '../errors.ts'
import { ROUTER_FLAGS, SERVE_FLAGS } from '../commands/command-flags.ts'
import { configFilePath, gatherValues } from './sources.ts'
import type { FlagSources } from './sources.ts'

const gather = (sources: Partial<FlagSources>) => gatherValues(SERVE_FLAGS, { flags: {}, env: {}, file: null, ...sources }, '/cwd')
const inFile = (values: Record<string, unknown>): Partial<FlagSources> => ({ file: { path: '/etc/rubato/rubato.yaml', values } })

function refusal(sources: Partial<FlagSources>): string {
  try {
    gather(sources)
  } catch (error) {
    assert.ok(error instanceof InvalidArgument)
    return `${error.field}: ${error.message}`
  }
  return assert.fail('was accepted')
}

test('the command line wins over the environment, the environment over the file', () => {
  const file = inFile({ port: 1, 'grpc-port': 1, host: 'file' })
  const env = { RUBATO_PORT: '2', RUBATO_GRPC_PORT: '2' }
  const given = gather({ flags: { port: '3' }, env, ...file })
  assert.deepEqual(given.get('port'), { value: '3', origin: '--port', baseDir: '/cwd' })
  assert.deepEqual(given.get('grpc-port'), { value: '2', origin: 'RUBATO_GRPC_PORT', baseDir: '/cwd' })
  assert.deepEqual(given.get('host'), { value: 'file', origin: 'host in /etc/rubato/rubato.yaml', baseDir: '/etc/rubato' })
})

test('an alias is the flag itself, in every source', () => {
  assert.equal(gather({ flags: { 'http-port': '1' } }).get('port')?.value, '1')
  assert.equal(gather({ env: { RUBATO_HTTP_PORT: '1' } }).get('port')?.value, '1')
  assert.equal(gather(inFile({ http_port: 1 })).get('port')?.value, 1)
  assert.equal(gather({ flags: { 'http-port': '1' }, env: { RUBATO_PORT: '2' } }).get('port')?.value, '1')
})

test('keys of the file may be written in kebab or snake case', () => {
  assert.equal(gather(inFile({ 'max-num-seqs': 3 })).get('max-num-seqs')?.value, 3)
  assert.equal(gather(inFile({ max_num_seqs: 3 })).get('max-num-seqs')?.value, 3)
})

test('the no- form of a switch is its opposite, in every source', () => {
  assert.equal(gather({ env: { RUBATO_NO_ENABLE_PREFIX_CACHING: '1' } }).get('enable-prefix-caching')?.value, false)
  assert.equal(gather({ env: { RUBATO_NO_ENABLE_PREFIX_CACHING: 'false' } }).get('enable-prefix-caching')?.value, true)
  assert.equal(gather(inFile({ no_enable_prefix_caching: true })).get('enable-prefix-caching')?.value, false)
  assert.equal(gather({ env: { RUBATO_NO_ENABLE_PREFIX_CACHING: 'perhaps' } }).get('enable-prefix-caching')?.value, 'perhaps')
  assert.equal(gather({ flags: { 'enable-prefix-caching': false } }).get('enable-prefix-caching')?.origin, '--no-enable-prefix-caching')
})

test('an unknown name is refused with the nearest known one', () => {
  assert.equal(refusal({ env: { RUBATO_PROT: '1' } }), 'RUBATO_PROT: no flag has this name; did you mean RUBATO_PORT?')
  assert.equal(refusal({ env: { RUBATO_MAX_NUM_SEQ: '' } }), 'RUBATO_MAX_NUM_SEQ: no flag has this name; did you mean RUBATO_MAX_NUM_SEQS?')
  assert.equal(refusal(inFile({ max_num_seq: 1 })), 'max_num_seq: unknown setting in /etc/rubato/rubato.yaml; did you mean max-num-seqs?')
  assert.equal(refusal({ flags: { prot: '1' } }), '--prot: no flag has this name; did you mean --port?')
})

test('two spellings of one flag in one source must agree', () => {
  assert.equal(refusal({ flags: { port: '1', 'http-port': '2' } }), 'port: --port and --http-port contradict each other; keep one')
  assert.equal(refusal({ env: { RUBATO_PORT: '1', RUBATO_HTTP_PORT: '2' } }), 'port: RUBATO_PORT and RUBATO_HTTP_PORT contradict each other; keep one')
  assert.match(refusal(inFile({ 'block-size': 8, block_size: 16 })), /^block-size: block-size in .* and block_size in .* contradict/)
  assert.equal(gather({ flags: { port: '1', 'http-port': '1' } }).get('port')?.value, '1')
})

test('a setting without a value is refused, an empty variable counts as unset', () => {
  assert.match(refusal(inFile({ 'api-key': null })), /^api-key: has no value \(api-key in/)
  assert.equal(gather({ env: { RUBATO_API_KEY: '' } }).size, 0)
})

test('variables of the bootstrap and of other programs are no flags', () => {
  assert.equal(gather({ env: { RUBATO_NO_SYSTEM_INSTALL: '1', RUBATO_TEST_SEED: '7', PORT: '1', HOST: 'x' } }).size, 0)
})

test('the configuration file is named by flag, else variable, and never by itself', () => {
  assert.equal(configFilePath({ flags: { config: 'a.yaml' }, env: { RUBATO_CONFIG: 'b.yaml' } }), 'a.yaml')
  assert.equal(configFilePath({ flags: { config: undefined }, env: { RUBATO_CONFIG: 'b.yaml' } }), 'b.yaml')
  assert.equal(configFilePath({ flags: {}, env: { RUBATO_CONFIG: '' } }), null)
  assert.match(refusal(inFile({ config: 'other.yaml' })), /^config: a configuration file cannot name another/)
})

test('environment and file may set flags of another command, the command line may not', () => {
  const sources: FlagSources = { flags: {}, env: { RUBATO_KV_PORT: '1', RUBATO_PORT: '2' }, ...inFile({ prefill: 1, cluster: 'c' }) } as FlagSources
  assert.deepEqual([...gatherValues(ROUTER_FLAGS, sources, '/cwd').keys()].toSorted(), ['cluster', 'port'])
  assert.throws(() => gatherValues(ROUTER_FLAGS, { ...sources, flags: { 'kv-port': '1' } }, '/cwd'), (error) => error instanceof InvalidArgument && error.field === '--kv-port')
})
