// What `rubato plan placement` is asked.
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { InvalidArgument } from '@rubato/config'
import { parse } from 'yaml'
import type { z } from 'zod'
import { refusalOf } from '../../simulated/scenario/refuse.ts'
import { fields, oneOf, positive, ratio, text, wholeNumber } from '../../simulated/scenario/schema/fields.ts'

const SEARCH = fields({ max_rate: positive(), tolerance: positive() })

const SCHEMA = fields({
  model: text(),
  /** Whose measured step times. */
  engine: oneOf(['distserve', 'vllm']).default('distserve'),
  rate: positive(),
  workload: fields({ file: text(), num_requests: wholeNumber(1).default(300) }),
  nodes: wholeNumber(1, 64).default(1),
  gpus_per_node: wholeNumber(1, 64),
  links: oneOf(['fast', 'slow']).default('slow'),
  slo: fields({ ttft_ms: positive(), tpot_ms: positive() }),
  attainment: ratio().default(0.9),
  rule: oneOf(['joint', 'marginal']).default('joint'),
  /** Of the link that KV moves over; left out: moving is free. */
  kv_gbps: positive().optional(),
  search: SEARCH.default({ max_rate: 5, tolerance: 0.25 }),
})

export type PlacementFields = z.output<typeof SCHEMA>

/** The trace's file is absolute. Throws InvalidArgument whose field is the path of what is wrong, or `config` where the file cannot be read. */
export async function readPlacementConfig(file: string): Promise<PlacementFields> {
  const source = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new InvalidArgument('config', `cannot read ${file}: ${(cause as Error).message}`, { cause })
  })
  let value: unknown
  try {
    value = parse(source)
  } catch (cause) {
    throw new InvalidArgument('config', `${file} is not valid YAML: ${(cause as Error).message.split('\n')[0]}`, { cause })
  }
  const parsed = SCHEMA.safeParse(value, { reportInput: true })
  if (!parsed.success) throw refusalOf(parsed.error.issues, file)
  const { workload } = parsed.data
  return { ...parsed.data, workload: { ...workload, file: path.resolve(path.dirname(file), workload.file) } }
}
