// Three request classes with targets of their own, drawn one by one: AdaServe (EuroSys'26) §6.1. A target is milliseconds
// or a multiple of the baseline, which is what the server does for one request at a time.
import type { RandomStream } from '@rubato/sim'
import { InvalidArgument } from '@rubato/config'
import type { SloClass, TargetRule } from '../options.ts'
import type { SloTargets } from './planned-request.ts'

/** Measured at low load, or given. */
export interface Baseline {
  readonly tpotMs: number | null
  /** By class: prompt lengths differ. */
  readonly ttftMsOf: Readonly<Record<string, number>>
}

export interface CalibrationNeeds {
  readonly ttft: boolean
  readonly tpot: boolean
}

/** Whether any class has a target that is relative to the baseline. */
export function calibrationNeeds(classes: readonly SloClass[], baselineTpotMs: number | null): CalibrationNeeds {
  return {
    ttft: classes.some((one) => one.ttft.kind === 'times'),
    tpot: baselineTpotMs === null && classes.some((one) => one.tpot.kind === 'times'),
  }
}

function resolve(rule: TargetRule, baselineMs: number | null | undefined, what: string): number | null {
  switch (rule.kind) {
    case 'none':
      return null
    case 'ms':
      return rule.ms
    case 'times':
      if (baselineMs === null || baselineMs === undefined) throw new InvalidArgument(what, 'is a multiple of a baseline that was not measured')
      return rule.factor * baselineMs
  }
}

export function targetsOf(one: SloClass, baseline: Baseline): SloTargets {
  return {
    ttftMs: resolve(one.ttft, baseline.ttftMsOf[one.name], `--mixed-slo-ttft of ${one.name}`),
    tpotMs: resolve(one.tpot, baseline.tpotMs, `--mixed-slo-tpot of ${one.name}`),
    e2elMs: null,
  }
}

/** A class drawn by its share. */
export function drawClass(classes: readonly SloClass[], random: RandomStream): SloClass {
  let left = random.between(0, classes.reduce((sum, one) => sum + one.share, 0))
  for (const one of classes) {
    left -= one.share
    if (left < 0) return one
  }
  const last = classes.at(-1)
  if (last === undefined) throw new InvalidArgument('--mixed-slo-shares', 'names no class')
  return last
}
