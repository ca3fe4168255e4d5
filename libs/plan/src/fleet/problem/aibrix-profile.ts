// Profiles of accelerator types in AIBrix's format (`gpu_optimizer/optimizer/profiling/result/*.json`), read and written.
// Rows are OUTPUT sizes and columns input sizes: the reverse of Mélange's files.
import { InvalidArgument } from '@rubato/config'
import { z } from 'zod'
import { bucketsOf } from './size-grid.ts'
import type { SizeGrid } from './size-grid.ts'

export interface TypeProfile {
  readonly name: string
  /** In the file's own unit: AIBrix counts in prices of an A100. */
  readonly cost: number
  readonly grid: SizeGrid
  /** Requests per second by bucket of the grid; 0: none met the SLO. */
  readonly maxRatePerSec: readonly number[]
}

const EDGES = z.array(z.int().min(1)).min(1)
const SCHEMA = z.object({
  gpu: z.string().min(1),
  cost: z.number().min(0),
  tputs: z.array(z.array(z.number().min(0)).min(1)).min(1),
  indexes: z.tuple([EDGES, EDGES]),
})

/** Throws InvalidArgument naming `field` where the text is no such profile. */
export function parseAibrixProfile(text: string, field: string): TypeProfile {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new InvalidArgument(field, `is not valid JSON: ${(cause as Error).message}`, { cause })
  }
  const parsed = SCHEMA.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new InvalidArgument(field, `${issue!.path.join('.')}: ${issue!.message}`)
  }
  const { gpu, cost, tputs, indexes: [outputEdges, inputEdges] } = parsed.data
  if (tputs.length !== outputEdges.length || tputs.some((row) => row.length !== inputEdges.length)) {
    throw new InvalidArgument(field, 'tputs must have a row per output size and a column per input size of indexes')
  }
  return { name: gpu, cost, grid: { inputEdges, outputEdges }, maxRatePerSec: inputEdges.flatMap((_, input) => outputEdges.map((__, output) => tputs[output]![input]!)) }
}

/** Text that parseAibrixProfile reads back as the same profile. */
export function formatAibrixProfile({ name, cost, grid, maxRatePerSec }: TypeProfile): string {
  const { inputEdges, outputEdges } = grid
  const tputs = outputEdges.map((_, output) => inputEdges.map((__, input) => maxRatePerSec[input * outputEdges.length + output]!))
  return `${JSON.stringify({ gpu: name, cost, tputs, indexes: [outputEdges, inputEdges] })}\n`
}

/**
 * A profile's rates on another grid: each bucket takes those of the smallest profiled size that is not below it, and 0
 * where it is larger than all.
 */
export function ratesOnGrid(profile: TypeProfile, grid: SizeGrid): number[] {
  const { inputEdges, outputEdges } = profile.grid
  return bucketsOf(grid).map(({ inputTokens, outputTokens }) => {
    const [input, output] = [inputEdges.findIndex((edge) => edge >= inputTokens), outputEdges.findIndex((edge) => edge >= outputTokens)]
    return input < 0 || output < 0 ? 0 : profile.maxRatePerSec[input * outputEdges.length + output]!
  })
}
