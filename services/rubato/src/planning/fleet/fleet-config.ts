// What `rubato plan fleet` is asked: Mélange's own file, or ours.
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { InvalidArgument } from '@rubato/config'
import { isMelangeConfig, MELANGE_GRID } from '@rubato/plan'
import { requireAccelerator } from '@rubato/sim/cost'
import { parse } from 'yaml'
import { z } from 'zod'
import { atLeast, fields, positive, ratio, shortName, text, wholeNumber } from '../../simulated/scenario/schema/fields.ts'
import { TARGETS_SCHEMA } from '../../simulated/scenario/schema/workload-schema.ts'
import { refusalOf } from '../../simulated/scenario/refuse.ts'
import { TIMER_SCHEMA } from '../../simulated/scenario/schema/timer-schema.ts'

const EDGES = z.array(wholeNumber(1), { error: 'must be a list of tokens' })

const TYPE = fields({
  name: shortName(),
  accelerator: text().optional(),
  usd_per_hour: atLeast(0).optional(),
  stock: wholeNumber(0).optional(),
  profile: text().optional(),
})

const SCHEMA = fields({
  rate: positive(),
  workload: fields({ file: text() }),
  grid: fields({ input: EDGES, output: EDGES }).default({ input: [...MELANGE_GRID.inputEdges], output: [...MELANGE_GRID.outputEdges] }),
  slice_factor: wholeNumber(1).default(8),
  headroom: ratio().default(0.1),
  types: z.array(TYPE, { error: 'must be a list of accelerator types' }).min(1, { error: 'must hold at least one type' }),
  model: text().optional(),
  timer: TIMER_SCHEMA.default({ kind: 'composed', calibration: 'none' }),
  slo: TARGETS_SCHEMA.optional(),
  attainment: ratio().default(0.995),
  num_requests: wholeNumber(1).default(300),
  /** Arrivals of one trial of a profile. A number of requests would not do: any rate passes with few enough of them. */
  profile_seconds: positive().default(30),
})

export type FleetFields = z.output<typeof SCHEMA>
export type FleetTypeFields = FleetFields['types'][number]

export type FleetConfig =
  /** `value`: as parsed; melangeProblem checks it. */
  | { readonly kind: 'melange'; readonly value: unknown }
  /** File names in `fields` are absolute. */
  | { readonly kind: 'rubato'; readonly file: string; readonly fields: FleetFields }

/** Throws InvalidArgument whose field is the path of what is wrong in the file, or `config` where it cannot be read. */
export async function readFleetConfig(file: string): Promise<FleetConfig> {
  const source = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new InvalidArgument('config', `cannot read ${file}: ${(cause as Error).message}`, { cause })
  })
  let value: unknown
  try {
    value = parse(source)
  } catch (cause) {
    throw new InvalidArgument('config', `${file} is neither YAML nor JSON: ${(cause as Error).message.split('\n')[0]}`, { cause })
  }
  if (isMelangeConfig(value)) return { kind: 'melange', value }
  const parsed = SCHEMA.safeParse(value, { reportInput: true })
  if (!parsed.success) throw refusalOf(parsed.error.issues, file)
  const absolute = (name: string): string => path.resolve(path.dirname(file), name)
  const { workload, types, timer, ...rest } = parsed.data
  const checked: FleetFields = {
    ...rest,
    timer: timer.kind === 'profile' ? { ...timer, file: absolute(timer.file) } : timer,
    workload: { file: absolute(workload.file) },
    types: types.map((type) => (type.profile === undefined ? type : { ...type, profile: absolute(type.profile) })),
  }
  checkTogether(checked)
  return { kind: 'rubato', file: path.resolve(file), fields: checked }
}

/** What no field can say alone. */
function checkTogether({ types, model, slo }: FleetFields): void {
  types.forEach(({ name, accelerator, profile }, index) => {
    if (accelerator !== undefined) requireAccelerator(accelerator)
    if (profile !== undefined) return
    if (accelerator === undefined) throw new InvalidArgument(`types[${index}].profile`, `of ${name} is missing: give a file, or an accelerator to be profiled in simulation`)
    if (model === undefined) throw new InvalidArgument('model', `is missing: ${name} is profiled in simulation`)
    if (slo === undefined) throw new InvalidArgument('slo', `is missing: ${name} is profiled in simulation`)
  })
}
