// Instances by their parallelism, from DistServe's profiles: what a placement search chooses among.
import { distServeForm } from '../../cost/distserve/distserve-profile.ts'
import type { DistServeCapacity, DistServeProfile } from '../../cost/distserve/distserve-profile.ts'
import type { DistServeInstance } from './pipeline.ts'
import { distServeStageTimes } from './stage-times.ts'

export interface Parallelism {
  readonly tp: number
  readonly pp: number
}

export interface DistServeCatalogue {
  readonly profile: DistServeProfile
  readonly capacity: DistServeCapacity
  readonly model: string
}

/** The model's instance of that parallelism; undefined where it was not fitted, or where its memory was not measured. */
export function distServeInstance({ profile, capacity, model }: DistServeCatalogue, { tp, pp }: Parallelism): DistServeInstance | undefined {
  const capacityTokens = capacity(model, tp, pp)
  if (capacityTokens === undefined || profile.get(model)?.has(tp) !== true) return undefined
  return { times: distServeStageTimes(distServeForm(profile, model, tp), pp), numStages: pp, capacityTokens }
}
