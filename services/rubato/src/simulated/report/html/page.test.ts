// The page of a report: every plot is there, and nothing comes from elsewhere.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import type { PlannedRequest } from '../../workload/planned-request.ts'
import type { ScenarioReport, SearchReport, VariantSummary } from '../scenario-report.ts'
import { TimelineBook } from '../measure/timeline-book.ts'
import type { SampledInstance } from '../measure/timeline-book.ts'
import { TrialRecorder } from '../measure/trial-recorder.ts'
import type { TrialReport } from '../trial-report.ts'
import { renderPage } from './page.ts'

const seed = testSeed(31)
const random = seededRandom(seed)

function instances(numInstances: number): SampledInstance[] {
  return Array.from({ length: numInstances }, (_, index): SampledInstance => ({
    name: `g-${index + 1}`, load: { numWaiting: random.int(9), numRunning: 1, freeBlocks: random.int(90), cachedBlocks: 1, totalBlocks: 100, preemptionsTotal: 0, migrations: { inTotal: 1 } } as NonNullable<SampledInstance['load']>,
  }))
}

function trial(variant: string, rate: number | null, numInstances = 2): TrialReport {
  const timelines = new TimelineBook(1000)
  for (let at = 0; at < 20; at++) timelines.sample(at * 1000, instances(numInstances))
  const recorder = new TrialRecorder(timelines, null)
  for (let index = 0; index < 50; index++) {
    const planned: PlannedRequest = { index, arrivalMs: index * 400, promptTokens: 9, outputTokens: 5, blockIds: [], className: null, priority: 0, targets: { ttftMs: 60, tpotMs: 9 } }
    const ttftMs = 20 + random.int(80)
    recorder.tokens(1, null)
    for (let token = 0; token < 4; token++) recorder.tokens(1, 5 + random.int(9))
    recorder.ended({ planned, ttftMs, e2eMs: ttftMs + 30, end: 'finished', error: null, numTokens: 5, numLost: 0, numDuplicated: 0, delayMs: 1, migrations: 0, recoveries: 0, downtimeMs: null })
  }
  return recorder.report({ variant, rate, seed: 1 }, { durationMs: 20_000, blocksLeaked: 0, numCut: 0, numRedrawn: 0, costPerHour: 1, powerW: 1 })
}

const variant = (name: string): VariantSummary => ({
  name, description: null, devices: 2, timer: 'composed',
  fleet: [{ group: 'g', accelerator: 'a100-80gb', model: 'opt-13b', tp: 1, pp: 1, role: 'mixed', count: 2, kv_tokens: 1000 }],
  policies: { batching: 'sarathi', dispatch: 'slo', placement: 'auto', migration: 'off', speculation: 'off' },
  limits: { maxNumSeqs: 8, maxNumBatchedTokens: 64, maxModelLen: 100, blockSize: 8, cellTokens: 8, maxConcurrentRequests: null, queueSize: null, queueTimeoutMs: null },
})

function reportOf(trials: readonly TrialReport[], searches: readonly SearchReport[] = []): ScenarioReport {
  return {
    scenario: 'page', description: 'compares <plain> & "bold"', primary_metric: 'slo_attainment', seeds: [1], complete: true, variants: ['plain', 'bold'].map(variant),
    comparison: [{ variant: 'plain', rate: 2, num_seeds: 1, median: 0.5, min: 0.5, max: 0.5, vs_first: null }], trials, searches,
  }
}

/** Texts of a page's plots, their titles among them. */
const textsOf = (page: string): string[] => [...page.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text!.trim())
const numPlots = (page: string): number => page.match(/<svg /g)?.length ?? 0

const PER_TRIAL = ['Time to first token', 'Time per output token (per request)', 'Time between tokens (each gap)', 'End-to-end latency', 'Attainment over time', 'Migrations so far']
const PER_VARIANT = ['Queue per instance: plain', 'Queue per instance: bold', 'KV use per instance: plain', 'KV use per instance: bold']
const OVER_RATE = ['Attainment over rate', 'P99 time between tokens over rate', 'Median scheduling delay over rate']

test('a page has every plot of every rate, in one file that needs nothing else', () => {
  const page = renderPage(reportOf([trial('plain', 2), trial('bold', 2), trial('plain', 4), trial('bold', 4)]))
  const texts = textsOf(page)
  for (const title of [...PER_TRIAL, ...PER_VARIANT]) assert.equal(texts.filter((text) => text === title).length, 2, `seed ${seed}: ${title}`)
  for (const title of OVER_RATE) assert.ok(texts.includes(title), title)
  assert.equal(numPlots(page), 2 * (PER_TRIAL.length + PER_VARIANT.length) + OVER_RATE.length)
  assert.match(page, /compares &lt;plain&gt; &amp; &quot;bold&quot;/)
  assert.doesNotMatch(page, /<script|<link|<img|<iframe|@import|url\((?!#)|NaN|undefined|Infinity/)
  // Names of XML vocabularies are no references.
  assert.deepEqual([...new Set(page.match(/https?:[^"'\s<]*/g))].toSorted(), ['http://www.w3.org/1999/xlink', 'http://www.w3.org/2000/svg'])
})

test('a search shows what it tried, and each variant at its capacity', () => {
  const searches = ['plain', 'bold'].map((name): SearchReport => ({
    variant: name, seed: 1, capacity: 2, capacity_goodput: 1,
    trials: [1, 2, 4].map((rate) => ({ rate, passed: rate < 4, reason: rate < 4 ? null : 'attainment', cut_short: false, slo_attainment: 1 / rate, p99_tbt_ms: 9, p50_scheduling_delay_ms: 3 })),
  }))
  const page = renderPage(reportOf([trial('plain', 2), trial('bold', 2)], searches))
  const texts = textsOf(page)
  for (const title of [...OVER_RATE, ...PER_TRIAL, ...PER_VARIANT]) assert.ok(texts.includes(title), title)
  assert.match(page, /Each variant at its capacity/)
  assert.match(page, /<td>attainment<\/td>/)
})

test('many instances are drawn as their least, median and greatest', () => {
  const texts = textsOf(renderPage(reportOf([trial('plain', null, 40)])))
  assert.equal(texts.filter((text) => text === 'g: median of 40').length, 2)
  assert.ok(!texts.includes('g-1'))
})

test('a trial without details has tables and no plots', () => {
  const page = renderPage(reportOf([{ ...trial('plain', 2), details: null }]))
  assert.match(page, /<td>plain<\/td>/)
  assert.equal(numPlots(page), 0)
})
