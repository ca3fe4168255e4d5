// What each type sustains, bucket by bucket: from profile files, or measured on the simulated cluster.
import { readFile } from 'node:fs/promises'
import { InvalidArgument } from '@rubato/config'
import { bucketsOf, parseAibrixProfile, ratesOnGrid } from '@rubato/plan'
import type { FleetType, SizeGrid, TypeProfile } from '@rubato/plan'
import { requireAccelerator } from '@rubato/sim/cost'
import type { FleetTypeFields } from './fleet-config.ts'
import { profileBucket } from './simulated-fleet.ts'
import type { SimulationContext } from './simulated-fleet.ts'

export interface ProfileOptions extends SimulationContext {
  readonly grid: SizeGrid
  /** Those with load: the others are not measured, and count as not servable. */
  readonly buckets: readonly number[]
  readonly progress: (line: string) => void
}

/** In the order of the configuration. Undefined: it was stopped. Throws InvalidArgument where a file cannot be read. */
export async function fleetTypes(options: ProfileOptions): Promise<readonly FleetType[] | undefined> {
  const { fields: { types }, grid } = options
  const fromFiles = await Promise.all(types.map(async ({ profile }, index) => (profile === undefined ? null : readProfile(profile, `types[${index}].profile`))))
  const measured = await measureTypes(types.filter((_, index) => fromFiles[index] === null), options)
  if (measured === undefined) return undefined
  return types.map(({ name, accelerator, usd_per_hour, stock }, index): FleetType => {
    const profile = fromFiles[index] ?? null
    const price = usd_per_hour ?? (accelerator === undefined ? profile?.cost : requireAccelerator(accelerator).pricePerHourUsd)
    if (price === undefined) throw new InvalidArgument(`types[${index}].usd_per_hour`, `of ${name} is missing`)
    return { name, usdPerHour: price, stock: stock ?? null, maxRatePerSec: profile === null ? measured.get(name)! : ratesOnGrid(profile, grid) }
  })
}

async function readProfile(file: string, field: string): Promise<TypeProfile> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new InvalidArgument(field, `cannot read ${file}: ${(cause as Error).message}`, { cause })
  })
  return parseAibrixProfile(text, field)
}

/** Rates by name of the type. */
async function measureTypes(types: readonly FleetTypeFields[], options: ProfileOptions): Promise<ReadonlyMap<string, number[]> | undefined> {
  const { grid, buckets, progress } = options
  const sizes = bucketsOf(grid)
  const rates = new Map(types.map(({ name }) => [name, sizes.map(() => 0)]))
  if (types.length === 0) return rates
  for (const [place, bucket] of buckets.entries()) {
    const { inputTokens, outputTokens } = sizes[bucket]!
    progress(`profiling ${place + 1}/${buckets.length}: ${inputTokens} tokens in, ${outputTokens} out`)
    const capacities = await profileBucket(types, sizes[bucket]!, options)
    if (capacities === undefined) return undefined
    types.forEach(({ name }, index) => (rates.get(name)![bucket] = capacities[index]!))
  }
  return rates
}
