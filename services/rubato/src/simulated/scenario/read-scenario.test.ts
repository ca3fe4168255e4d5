// Scenarios as text: what is filled in, and what is refused by the path of its field.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidArgument } from '@rubato/config'
import { parse, stringify } from 'yaml'
import { CATALOG } from '../run/trial/hardware.ts'
import { parseScenario } from './read-scenario.ts'
import type { Scenario } from './scenario.ts'
import { parseSeeds } from './schema/scenario-schema.ts'

const PLAIN = `
name: plain
description: one instance
primary_metric: slo_attainment
fleet: [{name: a, accelerator: a100-80gb, model: opt-13b}]
timer: distserve
workload: {lengths: {kind: fixed, prompt: 100, output: 10}, arrivals: poisson, rate: 2, num_requests: 10}
slo: {ttft_ms: 200, tpot_ms: 100}
`

const read = (text: string): Scenario => parseScenario(text, '/scenarios/plain.yaml', CATALOG)

type Fields = Record<string, unknown>

/** The plain scenario with fields set or (undefined) taken away, by dotted path. */
function edited(changes: Readonly<Record<string, unknown>>): string {
  const fields = parse(PLAIN) as Fields
  for (const [path, value] of Object.entries(changes)) {
    const parts = path.split('.')
    const parent = parts.slice(0, -1).reduce<Fields>((at, part) => (at[part] ??= {}) as Fields, fields)
    if (value === undefined) delete parent[parts.at(-1)!]
    else parent[parts.at(-1)!] = value
  }
  return stringify(fields)
}

function refusal(changes: Readonly<Record<string, unknown>>): { field: string | undefined; message: string } {
  try {
    read(edited(changes))
  } catch (error) {
    assert.ok(error instanceof InvalidArgument, String(error))
    assert.match(error.message, /\/scenarios\/plain\.yaml|cannot read/)
    return { field: error.field, message: error.message }
  }
  return assert.fail(`${JSON.stringify(changes)} was accepted`)
}

test('what a scenario leaves out is filled in with the defaults of the product', () => {
  const scenario = read(PLAIN)
  const [variant] = scenario.variants
  assert.deepEqual(variant?.policies, { batching: 'tempo', dispatch: 'slo', placement: 'auto', migration: 'llumnix', speculation: 'off' })
  assert.deepEqual([variant?.name, variant?.limits.maxModelLen, variant?.limits.maxNumBatchedTokens, variant?.limits.cellTokens], ['default', 2048, 512, 128])
  assert.deepEqual(variant?.fleet[0]?.link, { bytesPerSec: 25e9, latencyMs: 0.05 })
  assert.deepEqual([scenario.seeds, scenario.engine, scenario.numRouters, scenario.faults], [[1], 'light', 1, []])
})

test('a variant overrides what it names and keeps the rest', () => {
  const scenario = read(edited({
    'policies.batching': 'orca', 'limits.max_num_seqs': 8,
    variants: [{ name: 'one' }, { name: 'two', policies: { migration: 'off' }, limits: { max_num_batched_tokens: 300 }, fleet: [{ name: 'b', accelerator: 'a100-80gb', model: 'opt-13b', tp: 2, count: 3 }] }],
  }))
  const [one, two] = scenario.variants
  assert.deepEqual([one?.policies.batching, one?.policies.migration, one?.limits.maxNumBatchedTokens, one?.fleet[0]?.name], ['orca', 'llumnix', 512, 'a'])
  assert.deepEqual([two?.policies.batching, two?.policies.migration, two?.limits.maxNumSeqs, two?.limits.maxNumBatchedTokens, two?.fleet[0]?.tp], ['orca', 'off', 8, 300, 2])
})

test('file names start from the folder of the scenario', () => {
  const { workload: { lengths } } = read(edited({ 'workload.lengths': { kind: 'trace', file: '../data/x.csv' } }))
  assert.equal(lengths.kind === 'trace' && lengths.file, '/data/x.csv')
})

test('seeds are a number, a list or a range', () => {
  assert.deepEqual([read(edited({ seeds: 7 })).seeds, read(edited({ seeds: [1, 4] })).seeds, read(edited({ seeds: '2..4' })).seeds], [[7], [1, 4], [2, 3, 4]])
  assert.deepEqual([parseSeeds('3'), parseSeeds('3..1'), parseSeeds('a..b')], [[3], null, null])
})

const group = (changes: Fields): Fields => ({ name: 'a', accelerator: 'a100-80gb', model: 'opt-13b', ...changes })

/** Change, field at fault, and what the message has to say. */
const REFUSED: readonly (readonly [Readonly<Record<string, unknown>>, string, RegExp])[] = [
  [{ polices: {} }, 'polices', /unknown field; did you mean policies\?/],
  [{ fleet: [group({ cuont: 2 })] }, 'fleet[0].cuont', /did you mean count\?/],
  [{ 'workload.arrivals': { kind: 'gamma', cvv: 2 } }, 'workload.arrivals.cvv', /did you mean cv\?/],
  [{ name: undefined }, 'name', /is missing/],
  [{ primary_metric: undefined }, 'primary_metric', /is missing/],
  [{ primary_metric: 'speed' }, 'primary_metric', /"speed".*must be one of .*slo_attainment/],
  [{ fleet: undefined }, 'fleet', /is missing/],
  [{ fleet: [] }, 'fleet', /at least one group/],
  [{ fleet: [group({ count: 0 })] }, 'fleet[0].count', /^0 .*whole number from 1/],
  [{ fleet: [group({ role: 'both' })] }, 'fleet[0].role', /prefill, decode, mixed/],
  [{ fleet: [group({ accelerator: 'tpu' })] }, 'fleet[0].accelerator', /"tpu" must be one of a100-80gb/],
  [{ fleet: [group({ model: 'gpt' })] }, 'fleet[0].model', /"gpt" must be one of/],
  [{ fleet: [group({ role: 'prefill' })] }, 'fleet', /no instance for tokens/],
  [{ fleet: [group({ role: 'decode' })] }, 'fleet', /no instance for prompts/],
  [{ fleet: [group({}), group({})] }, 'fleet[1].name', /earlier group/],
  [{ fleet: [group({}), group({ name: 'b', model: 'opt-66b', tp: 4 })] }, 'fleet[1].model', /all serve one model/],
  [{ fleet: [group({ kv_tokens: 1000 })] }, 'fleet[0]', /holds 1000 tokens of KV, less than one request/],
  [{ fleet: [group({ model: 'bloom-176b', tp: 1 })], timer: 'composed' }, 'fleet[0]', /holds 0 tokens of KV/],
  [{ fleet: [group({ tp: 7 })] }, 'fleet[0].model', /opt-13b with tp 7/],
  [{ fleet: [group({ pp: 2 })], timer: 'composed' }, 'fleet[0].pp', /one stage only/],
  [{ timer: { kind: 'composed', calibration: 'sarathi' } }, 'timer.calibration', /measured with yi-34b/],
  [{ timer: 'fast' }, 'timer.kind', /must be one of composed, splitwise, distserve, profile/],
  [{ timer: { kind: 'profile', file: 'none.json' } }, 'timer.file', /cannot read \/scenarios\/none\.json/],
  [{ 'policies.batching': 'fifo' }, 'policies.batching', /sarathi, prefill-first, orca/],
  [{ 'policies.speculation': 'static:K' }, 'policies.speculation', /must be one of auto, off/],
  [{ 'limits.max_num_batched_tokens': 100 }, 'limits.max_num_batched_tokens', /use at least 192/],
  [{ 'limits.prefill_cell_tokens': 100 }, 'limits.prefill_cell_tokens', /multiple of block_size 64/],
  [{ variants: [{ name: 'x' }, { name: 'x' }] }, 'variants[1].name', /earlier variant/],
  [{ variants: [{ name: 'x' }, { name: 'y', fleet: [group({ role: 'decode' })] }] }, 'variants[1].fleet', /no instance for prompts/],
  [{ 'workload.rate': -1 }, 'workload.rate', /^-1 .*must be a number above 0/],
  [{ 'workload.rate': undefined }, 'workload.rate', /give rate, rates or search/],
  [{ 'workload.rates': [1, 2] }, 'workload.rates', /contradict/],
  [{ 'workload.rate': undefined, 'workload.rates': [1, -2] }, 'workload.rates[1]', /above 0/],
  [{ 'workload.num_requests': undefined }, 'workload.num_requests', /num_requests or duration_s/],
  [{ 'workload.duration_s': 5 }, 'workload.duration_s', /contradict/],
  [{ 'workload.lengths': { kind: 'lognormal', prompt: { median: 10, p90: 5 }, output: { median: 1, p90: 2 } } }, 'workload.lengths.prompt', /p90 must not lie below/],
  [{ 'workload.lengths': { kind: 'uniform' } }, 'workload.lengths.kind', /must be one of fixed, lognormal, quantiles, trace/],
  [{ 'workload.lengths': { kind: 'quantiles', prompt: [[0, 1], [0.5, 9]], output: [[0, 1], [1, 2]] } }, 'workload.lengths.prompt', /end with share 1/],
  [{ 'workload.lengths': { kind: 'quantiles', prompt: [[0, 5], [0.5, 4], [1, 9]], output: [[0, 1], [1, 2]] } }, 'workload.lengths.prompt', /must rise/],
  [{ 'workload.lengths': { kind: 'quantiles', prompt: [[0, 1], [1, 'x']], output: [[0, 1], [1, 2]] } }, 'workload.lengths.prompt[1][1]', /.*/],
  [{ 'workload.arrivals': 'trace' }, 'workload.arrivals', /need lengths of a trace/],
  [{ slo: undefined }, 'slo', /slo_attainment needs targets/],
  [{ slo: { ttft_ms: 5, slowdown_against: { accelerator: 'a100-80gb', tp: 1 } } }, 'slo', /either/],
  [{ slo: { slowdown_against: { accelerator: 'a99', tp: 1 } } }, 'slo.slowdown_against.accelerator', /"a99" must be one of/],
  [{ primary_metric: 'capacity' }, 'primary_metric', /found by a search/],
  [{ search: { kind: 'capacity', pass: { attainment: 0.9 }, start_rate: 1 } }, 'workload.rate', /contradicts search/],
  [{ 'workload.rate': undefined, search: { kind: 'capacity', pass: {}, start_rate: 1 } }, 'search.pass', /at least one limit/],
  [{ 'workload.rate': undefined, search: { kind: 'capacity', pass: { slowdown: true }, start_rate: 1 } }, 'slo.slowdown_against', /needs a reference/],
  [{ 'workload.rate': undefined, primary_metric: 'capacity_goodput', search: { kind: 'capacity', pass: { p99_tbt_ms: 9 }, start_rate: 1 } }, 'search.pass.attainment', /is missing/],
  [{ faults: [{ kind: 'kill', at_s: 1, name: 'a-2' }] }, 'faults[0].name', /"a-2" is no process .*a-1, r1, m1/],
  [{ faults: [{ kind: 'partition', at_s: 1, names: ['a-1', 'x'], for_s: 2 }] }, 'faults[0].names[1]', /"x" is no process/],
  [{ faults: [{ kind: 'explode', at_s: 1 }] }, 'faults[0].kind', /must be one of kill, freeze/],
  [{ seeds: 'all' }, 'seeds', /a range such as 1\.\.5/],
]

test('what is wrong is refused by the path of its field, with what would be right', () => {
  for (const [changes, field, message] of REFUSED) {
    const refused = refusal(changes)
    assert.equal(refused.field, field, `${JSON.stringify(changes)}: ${refused.message}`)
    assert.match(refused.message, message)
  }
})

test('what is no YAML is refused as a file', () => {
  assert.throws(() => read('name: [1'), (error: unknown) => error instanceof InvalidArgument && error.field === 'FILE' && /not valid YAML/.test(error.message))
  assert.throws(() => read(''), (error: unknown) => error instanceof InvalidArgument && error.field === 'scenario')
})
