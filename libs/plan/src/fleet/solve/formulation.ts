// The two integer programs of a fleet. Both have the same optimum; slices of a bucket are alike, so that counting them
// (compact) says all that telling them apart (slices, as published) does, without its symmetries and s times smaller.
//
// compact: n[bucket][type] in 0..s;  sum over types = s;                sum over buckets of n x load(bucket, type) <= B[type]
// slices:  a[slice][type] in {0, 1}; sum over types = 1 for each slice; sum over slices of a x load <= B[type]
//
// What a type cannot serve has no variable at all.
import type { Milp, Row, Term, Variable } from '../../milp/milp.ts'
import { loadedBuckets, sliceLoad } from '../problem/problem.ts'
import type { FleetProblem } from '../problem/problem.ts'

export interface Formulation {
  readonly milp: Milp
  /** Position of the first of the counts, which are the last variables. */
  readonly firstCount: number
  /** Slices by bucket and type, of a solution. */
  readonly slicesOf: (values: readonly number[]) => number[][]
}

interface Cell {
  readonly bucket: number
  readonly type: number
  readonly load: number
}

export function compactFormulation(problem: FleetProblem): Formulation {
  return formulate(problem, loadedBuckets(problem), problem.sliceFactor)
}

/** As Mélange has it. */
export function sliceFormulation(problem: FleetProblem): Formulation {
  const slices = loadedBuckets(problem).flatMap((bucket) => Array.from({ length: problem.sliceFactor }, () => bucket))
  return formulate(problem, slices, 1)
}

/** The same program with slices that can be cut at will: its optimum costs no more. */
export function withSharedSlices({ milp: { variables, rows }, firstCount }: Formulation): Milp {
  return { rows, variables: variables.map((variable, index) => (index < firstCount ? { ...variable, isInteger: false } : variable)) }
}

/** Whether the slices fit a fleet of at most the counts in `values`: any solution will do. */
export function withFixedCounts({ milp: { variables, rows }, firstCount }: Formulation, values: readonly number[]): Milp {
  return { rows, variables: variables.map((variable, index) => (index < firstCount ? variable : { cost: 0, upper: values[index]!, isInteger: true })) }
}

/** `parts`: the bucket of each thing that is shared out; `slices`: how many slices each is. */
function formulate(problem: FleetProblem, parts: readonly number[], slices: number): Formulation {
  const { types, ratePerSec } = problem
  const cellsOfPart = parts.map((bucket) => types.flatMap((_, type): Cell[] => {
    const load = sliceLoad(problem, bucket, type)
    return load === null ? [] : [{ bucket, type, load }]
  }))
  const cells = cellsOfPart.flat()
  const shares = cells.map((): Variable => ({ cost: 0, upper: slices, isInteger: true }))
  const counts = types.map(({ usdPerHour, stock }): Variable => ({ cost: usdPerHour, upper: stock ?? Infinity, isInteger: true }))
  let next = 0
  const complete = cellsOfPart.map((own): Row => ({ lower: slices, upper: slices, terms: own.map((): Term => ({ variable: next++, coefficient: 1 })) }))
  const within = types.map((_, type): Row => ({ lower: -Infinity, upper: 0, terms: [...loadTerms(cells, type), { variable: cells.length + type, coefficient: -1 }] }))
  return {
    milp: { variables: [...shares, ...counts], rows: [...complete, ...within] },
    firstCount: cells.length,
    slicesOf: (values) => {
      const table = ratePerSec.map(() => types.map(() => 0))
      cells.forEach(({ bucket, type }, index) => (table[bucket]![type]! += values[index]!))
      return table
    },
  }
}

function loadTerms(cells: readonly Cell[], type: number): Term[] {
  return cells.flatMap((cell, variable): Term[] => (cell.type === type ? [{ variable, coefficient: cell.load }] : []))
}
