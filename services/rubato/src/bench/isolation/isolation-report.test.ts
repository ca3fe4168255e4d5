import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomStream } from '@rubato/sim'
import { isolationReport, renderIsolation } from './isolation-report.ts'
import type { IsolationCase, Round } from './isolation-rounds.ts'
import type { RecordedStep } from './step-recorder.ts'

const STREAMS = 4

/** Steps of the given CPU times at 10 ms each; every fifth decodes for one more and costs ten times as much. */
function round(cpuMs: readonly number[]): Round {
  return cpuMs.map((cost, index): RecordedStep => {
    const isOther = index % 5 === 4
    return { numDecodes: STREAMS + (isOther ? 1 : 0), numCells: 0, cpuMs: isOther ? 10 * cost : cost, startMs: index * 10, endMs: index * 10 + 9 }
  })
}

const STEPS = Array.from({ length: 100 }, (_, index) => 1 + index / 100)

function reportOf(disaggregatedRatio: number) {
  const scaled = (ratio: number): readonly Round[] => [0, 1, 2].map(() => round(STEPS.map((cost) => cost * ratio)))
  const rounds: Record<IsolationCase, readonly Round[]> = { none: scaled(1), elsewhere: scaled(1), disaggregated: scaled(disaggregatedRatio), colocated: scaled(3) }
  return isolationReport(rounds, { streams: STREAMS, random: randomStream(1, 'draws') })
}

test('cases are compared at the same batch: steps that decode for others are counted apart', () => {
  const { cases } = reportOf(1)
  assert.deepEqual(cases.map(({ steps, other_steps }) => [steps, other_steps]), Array.from({ length: 4 }, () => [240, 60]))
  const [none, , , colocated] = cases
  assert.ok(none!.p99_cpu_ms < 2 && Math.abs(colocated!.median_ratio.ratio - 3) < 1e-9 && Math.abs(colocated!.p99_ratio.ratio - 3) < 1e-9)
  assert.deepEqual([none!.median_gap_ms, none!.p99_gap_ms], [10, 10])
})

test('the limits are those of the disaggregated case', () => {
  assert.equal(reportOf(1.09).exceeded, false)
  assert.equal(reportOf(1.11).exceeded, true)
  assert.match(renderIsolation(reportOf(1.11)), /disaggregated .* 1\.11 \[1\.11, 1\.11\][^]*EXCEEDED$/)
})
