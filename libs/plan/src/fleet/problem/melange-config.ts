// Mélange's own configuration files (`melange/config/*.json`), as they are.
import { InvalidArgument } from '@rubato/config'
import { z } from 'zod'
import type { FleetProblem } from './problem.ts'

const MATRIX = z.array(z.array(z.number().min(0)).min(1)).min(1)

const SCHEMA = z.object({
  gpu_info: z.record(z.string(), z.object({ cost: z.number().min(0), tputs: MATRIX })),
  workload_distribution: MATRIX,
  total_request_rate: z.number().min(0),
  slice_factor: z.int().min(1),
})

/** Whether it looks like one: our own files have none of its fields. */
export function isMelangeConfig(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'gpu_info' in value
}

/**
 * Buckets row by row: rows are input sizes, columns output sizes. The file does not say how large they are. Throws
 * InvalidArgument by the field that is wrong; shares that do not sum to 1 (to 1e-6) are wrong too.
 */
export function melangeProblem(value: unknown): FleetProblem {
  const parsed = SCHEMA.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new InvalidArgument(issue!.path.join('.') || 'config', issue!.message)
  }
  const { gpu_info: gpus, workload_distribution: shares, total_request_rate: ratePerSec, slice_factor: sliceFactor } = parsed.data
  const flat = shares.flat()
  const sum = flat.reduce((total, share) => total + share, 0)
  if (Math.abs(sum - 1) > 1e-6) throw new InvalidArgument('workload_distribution', `sums to ${sum}; shares must sum to 1`)
  const isSameShape = (matrix: readonly (readonly number[])[]): boolean => matrix.length === shares.length && matrix.every((row, index) => row.length === shares[index]!.length)
  const types = Object.entries(gpus).map(([name, { cost, tputs }]) => {
    if (!isSameShape(tputs)) throw new InvalidArgument(`gpu_info.${name}.tputs`, 'must have the shape of workload_distribution')
    return { name, usdPerHour: cost, stock: null, maxRatePerSec: tputs.flat() }
  })
  return { ratePerSec: flat.map((share) => share * ratePerSec), types, sliceFactor, headroomRatio: 0 }
}
