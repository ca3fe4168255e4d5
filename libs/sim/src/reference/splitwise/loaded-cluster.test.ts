// Loaded clusters, where every rule of the machines and the schedulers decides something, against figures of a second
// implementation of the original (Python, with its lists, loops and event order), made for this comparison alone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { csvRows, numberIn } from '../../cost/csv.ts'
import { loadSplitwiseProfile, readDataText } from '../../cost/data-files.ts'
import { publishedSplitwiseCurves } from '../../cost/splitwise/published-curves.ts'
import type { ReferenceRequest } from '../trace.ts'
import { SPLITWISE_MODELS } from './published.ts'
import { simulateSplitwiseCluster } from './simulate.ts'
import type { SplitwiseClusterConfig, SplitwiseMachineSpec } from './simulate.ts'

const NUM_REQUESTS = 600
const LIMIT_MS = 1e-5

const model = SPLITWISE_MODELS['bloom-176b']
const rows = loadSplitwiseProfile()
const LENGTHS = csvRows(readDataText('azure-llm-2023/AzureLLMInferenceTrace_code.csv.gz')).slice(0, NUM_REQUESTS)

function machines(hardware: string, count: number): readonly SplitwiseMachineSpec[] {
  const curves = publishedSplitwiseCurves(rows, { model: 'bloom-176b', hardware, tp: 8 })
  return Array.from({ length: count }, () => ({ curves }))
}

/** The first requests of the coding trace, one every gapMs. */
function trace(gapMs: number): ReferenceRequest[] {
  return LENGTHS.map((row, index) => ({ arrivalMs: index * gapMs, promptTokens: numberIn(row, 'ContextTokens'), outputTokens: numberIn(row, 'GeneratedTokens') }))
}

interface Case {
  readonly what: string
  readonly config: SplitwiseClusterConfig
  readonly gapMs: number
  readonly meanTtftMs: number
  readonly meanE2eMs: number
  readonly maxE2eMs: number
}

const CASES: readonly Case[] = [
  {
    what: '4,414 preemptions, starved tasks first',
    config: { scheduler: 'token-jsq', machines: machines('a100-80gb', 4), model },
    gapMs: 150, meanTtftMs: 12255.345864189, meanE2eMs: 34426.556914305, maxE2eMs: 124692.466838118,
  },
  {
    what: 'pools of one kind, 4 machines borrowed',
    config: { scheduler: 'mixed-pool', promptMachines: machines('a100-80gb', 3), tokenMachines: machines('a100-80gb', 1), model },
    gapMs: 150, meanTtftMs: 12079.745114291, meanE2eMs: 34538.176000561, maxE2eMs: 125602.046635784,
  },
  {
    what: 'pools of two kinds, 8 machines borrowed',
    config: { scheduler: 'mixed-pool', promptMachines: machines('h100-80gb', 2), tokenMachines: machines('a100-80gb', 2), model },
    gapMs: 200, meanTtftMs: 508.167808483, meanE2eMs: 2081.597276797, maxE2eMs: 39844.275053665,
  },
]

for (const { what, config, gapMs, meanTtftMs, meanE2eMs, maxE2eMs } of CASES) {
  test(`${config.scheduler} under load: ${what}`, () => {
    const { records, numUnfinished } = simulateSplitwiseCluster(config, trace(gapMs))
    assert.equal(numUnfinished, 0)
    const mean = (of: (record: (typeof records)[number]) => number): number => records.reduce((sum, record) => sum + of(record), 0) / records.length
    const actual = { meanTtftMs: mean(({ ttftMs }) => ttftMs), meanE2eMs: mean(({ e2eMs }) => e2eMs), maxE2eMs: Math.max(...records.map(({ e2eMs }) => e2eMs)) }
    for (const [name, expected] of Object.entries({ meanTtftMs, meanE2eMs, maxE2eMs })) {
      assert.ok(Math.abs(actual[name as keyof typeof actual] - expected) < LIMIT_MS, `${name}: ${actual[name as keyof typeof actual]}, expected ${expected}`)
    }
  })
}
