// `rubato plan fleet` from its configuration to its report: profile, plan, compare with single types, simulate the plan.
import { RubatoError } from '@rubato/config'
import { bucketsOf, checkSizeGrid, formatAibrixProfile, histogramOf, melangeProblem, openMilpSolver, planFleet, singleTypes } from '@rubato/plan'
import type { FleetProblem, SizeGrid } from '@rubato/plan'
import { readTrace } from '../../bench/serve/dataset/trace-rows.ts'
import type { FleetConfig } from './fleet-config.ts'
import { fleetReport } from './fleet-report.ts'
import type { FleetReport } from './fleet-report.ts'
import { fleetTypes } from './profiles.ts'
import { simulateFleet } from './simulated-fleet.ts'

export interface FleetOptions {
  readonly numThreads: number
  readonly progress: (line: string) => void
  /** Aborting ends the run: there is no report before the plan, and one without simulation behind it. */
  readonly signal: AbortSignal
}

export interface FleetRun {
  readonly report: FleetReport
  /** Profiles that were measured in simulation, as AIBrix's files, by type. */
  readonly profiles: ReadonlyMap<string, string>
}

/** Throws RubatoError `stopped` when it was aborted before there was a plan, InvalidArgument for input that makes no sense. */
export async function runFleet(config: FleetConfig, options: FleetOptions): Promise<FleetRun> {
  const solver = await openMilpSolver()
  if (config.kind === 'melange') {
    const problem = melangeProblem(config.value)
    return { report: fleetReport({ problem, sizes: null, beyondRatio: 0, outcome: planFleet(problem, solver), singles: singleTypes(problem), simulated: null }), profiles: new Map() }
  }
  const { fields, file } = config
  const grid: SizeGrid = { inputEdges: fields.grid.input, outputEdges: fields.grid.output }
  checkSizeGrid(grid)
  const { shares, beyondRatio } = histogramOf(grid, readTrace(fields.workload.file, 'workload.file'))
  const buckets = [...shares.keys()].filter((bucket) => shares[bucket]! > 0)
  const context = { ...options, fields, file }
  const types = await fleetTypes({ ...context, grid, buckets })
  if (types === undefined) throw new RubatoError('stopped', 'stopped before every type was profiled')
  const problem: FleetProblem = { ratePerSec: shares.map((share) => share * fields.rate), types, sliceFactor: fields.slice_factor, headroomRatio: fields.headroom }
  const outcome = planFleet(problem, solver)
  const canSimulate = fields.model !== undefined && fields.slo !== undefined && fields.types.every(({ accelerator }) => accelerator !== undefined)
  if (canSimulate) options.progress('simulating the plan')
  const simulated = outcome.kind === 'planned' && canSimulate && !options.signal.aborted ? ((await simulateFleet(outcome.plan.counts, context)) ?? null) : null
  const measured = fields.types.flatMap(({ profile }, index) => (profile === undefined ? [types[index]!] : []))
  return {
    report: fleetReport({ problem, sizes: bucketsOf(grid), beyondRatio, outcome, singles: singleTypes(problem), simulated }),
    profiles: new Map(measured.map(({ name, usdPerHour, maxRatePerSec }) => [name, formatAibrixProfile({ name, cost: usdPerHour, grid, maxRatePerSec })])),
  }
}
