// HiGHS, compiled to WebAssembly, as a solver of mixed-integer programs.
import { RubatoError } from '@rubato/config'
import highsModule from 'highs'
import type { Highs, ModelData } from 'highs'
import type { Milp, MilpLimits, MilpOutcome, MilpSolver } from './milp.ts'

/** How far a row may be broken, and an integer be off: what lies exactly on a limit must count as within it. */
const TOLERANCE = 1e-9

/** Its types call the package CommonJS, where this would be a record of exports; what Node imports is the loader itself. */
const loadHighs = highsModule as unknown as typeof highsModule.default

/** Loads the solver: 3.5 MB of WebAssembly, some tens of milliseconds. */
export async function openMilpSolver(): Promise<MilpSolver> {
  const highs = await loadHighs()
  return (milp, limits) => solve(highs, milp, limits)
}

function solve(highs: Highs, milp: Milp, { timeLimitSec }: MilpLimits): MilpOutcome {
  return highs.withModel(modelOf(highs, milp), (model): MilpOutcome => {
    model.options.set({
      output_flag: false, time_limit: timeLimitSec, mip_rel_gap: 0, mip_abs_gap: TOLERANCE, mip_feasibility_tolerance: TOLERANCE, primal_feasibility_tolerance: TOLERANCE,
    })
    model.run()
    const { modelStatus, solutionStatus } = highs.constants
    const status = model.getModelStatus()
    if (status === modelStatus.infeasible || status === modelStatus.unboundedOrInfeasible) return { kind: 'infeasible' }
    if (status !== modelStatus.optimal && status !== modelStatus.timeLimit) throw new RubatoError('solver_failed', `HiGHS ended with status ${status}`)
    const cost = model.getObjectiveValue()
    if (!Number.isFinite(cost) || Number(model.info.get('primal_solution_status')) !== solutionStatus.feasible) return { kind: 'out-of-time' }
    const isMip = milp.variables.some(({ isInteger }) => isInteger)
    const values = [...model.getSolution().colValue].map((value, index) => (milp.variables[index]!.isInteger ? Math.round(value) : value))
    return { kind: 'solved', values, cost, bound: isMip ? Math.min(cost, Number(model.info.get('mip_dual_bound'))) : cost }
  })
}

function modelOf(highs: Highs, { variables, rows }: Milp): ModelData {
  const { variableType } = highs.constants
  const limit = (value: number): number => (Number.isFinite(value) ? value : Math.sign(value) * highs.infinity)
  const starts = [0]
  for (const { terms } of rows) starts.push(starts.at(-1)! + terms.length)
  const terms = rows.flatMap((row) => row.terms)
  return {
    numCols: variables.length,
    numRows: rows.length,
    colCost: variables.map(({ cost }) => cost),
    colLower: variables.map(() => 0),
    colUpper: variables.map(({ upper }) => limit(upper)),
    rowLower: rows.map(({ lower }) => limit(lower)),
    rowUpper: rows.map(({ upper }) => limit(upper)),
    matrix: {
      format: 'csr', numRows: rows.length, numCols: variables.length,
      starts, indices: terms.map(({ variable }) => variable), values: terms.map(({ coefficient }) => coefficient),
    },
    integrality: variables.map(({ isInteger }) => (isInteger ? variableType.integer : variableType.continuous)),
  }
}
