// The step-time profile that an instance starts with: from a file, from the cache, or measured now.
import { InvalidArgument } from '@rubato/config'
import type { CostPoint, StepCostModel } from '@rubato/policy'
import { cpuModel } from '../kernel-class.ts'
import type { Engine } from '../step.ts'
import { profileEngine, profileModel } from './profile-engine.ts'
import type { ProfileEngineOptions } from './profile-engine.ts'
import { profileFile, readProfile, writeProfile } from './profile-file.ts'
import type { ProfileKey } from './profile-file.ts'

export interface LoadProfileOptions extends Omit<ProfileEngineOptions, 'now'> {
  /** Must serve nobody yet. */
  readonly engine: Engine
  readonly cacheDir: string
  /** Intra-op threads of the engine. */
  readonly threads: number
  /** `auto`: cached, else measured; `refresh`: measured; anything else: the path of a profile file, used as it is. */
  readonly mode: string
  /** Default: performance.now. */
  readonly now?: () => number
}

export interface LoadedProfile {
  readonly points: readonly CostPoint[]
  readonly model: StepCostModel
  readonly source: 'file' | 'cached' | 'measured'
}

/**
 * Loads or measures the profile of an engine; a measured one is cached, and a damaged cache entry is measured anew.
 * Throws InvalidArgument `profile` when `mode` names a file that is not a profile.
 */
export async function loadOrMeasureProfile(options: LoadProfileOptions): Promise<LoadedProfile> {
  const { engine, cacheDir, mode, threads, maxNumSeqs } = options
  if (mode !== 'auto' && mode !== 'refresh') {
    const points = await readProfile(mode)
    if (points === null) throw new InvalidArgument('profile', `${mode} is not a profile: give auto, refresh, or a file that one of them wrote`)
    return { points, model: profileModel(points), source: 'file' }
  }
  const key: ProfileKey = { modelFingerprint: engine.shape.modelFingerprint, cpuModel: cpuModel(), threads, maxNumSeqs }
  const file = profileFile(cacheDir, key)
  const cached = mode === 'auto' ? await readProfile(file) : null
  if (cached !== null) return { points: cached, model: profileModel(cached), source: 'cached' }
  const points = await profileEngine(engine, { now: () => performance.now(), ...options })
  await writeProfile(file, key, points)
  return { points, model: profileModel(points), source: 'measured' }
}
