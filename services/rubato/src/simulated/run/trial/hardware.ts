// What a fleet runs on: shapes, timers and what policies believe of them, from the tables of the cost models.
import { readFileSync } from 'node:fs'
import { InvalidArgument } from '@rubato/config'
import type { EngineShape } from '@rubato/model'
import { parseProfile } from '@rubato/model/profile'
import { speculationPolicy } from '@rubato/policy'
import { ACCELERATOR_NAMES, kvBytesPerToken, kvCapacityTokens, MODEL_NAMES, modelNamed, openTimer, profileOf, requireAccelerator, requireModel } from '@rubato/sim/cost'
import type { StepTimer } from '@rubato/sim/cost'
import type { SimInstanceSpec } from '../../cluster/index.ts'
import type { ReferenceMachine } from '../../report/measure/slowdown-book.ts'
import { referenceGroup } from '../../scenario/check-scenario.ts'
import type { Catalog } from '../../scenario/check-scenario.ts'
import type { FleetGroup, TimerChoice, Variant } from '../../scenario/scenario.ts'

/** All that the cost models know. */
export const CATALOG: Catalog = {
  accelerators: ACCELERATOR_NAMES,
  models: MODEL_NAMES,
  maxModelLen: (model) => modelNamed(model)?.maxPositions ?? null,
  kvTokens: kvTokensOf,
  timerProblem(timer, group) {
    try {
      openTimerOf(timer, group)
      return null
    } catch (error) {
      if (!(error instanceof InvalidArgument)) throw error
      return { field: error.field ?? 'kind', message: error.message }
    }
  },
}

/** KV of one instance, in tokens. */
export function kvTokensOf({ accelerator, model, tp, pp, kvTokens }: FleetGroup): number {
  return kvTokens ?? kvCapacityTokens(requireAccelerator(accelerator), requireModel(model), tp * pp)
}

/** Throws InvalidArgument where nothing was measured for the group, or its profile cannot be read. */
function openTimerOf(timer: TimerChoice, { accelerator, model, tp, pp }: FleetGroup): StepTimer {
  const machine = { accelerator, model, tp, pp }
  return timer.kind === 'profile' ? openTimer({ kind: 'profile', points: readPoints(timer.file) }, machine) : openTimer(timer, machine)
}

function readPoints(file: string): NonNullable<ReturnType<typeof parseProfile>> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new InvalidArgument('file', `cannot read ${file}: ${(cause as Error).message}`, { cause })
  }
  const points = parseProfile(text)
  if (points === null) throw new InvalidArgument('file', `${file} is no start-up profile`)
  return points
}

function shapeOf(group: FleetGroup, { limits: { blockSize, cellTokens, maxModelLen } }: Variant): EngineShape {
  const model = requireModel(group.model)
  return {
    modelFingerprint: model.name, blockSize, cellTokens, maxModelLen,
    numBlocks: Math.floor(kvTokensOf(group) / blockSize), blockBytes: kvBytesPerToken(model) * blockSize,
    vocabSize: model.vocabSize, eosTokenIds: [], replay: 'cells',
  }
}

/** Every instance of the variant. */
export function instanceSpecs(variant: Variant, jitterRatio: number): SimInstanceSpec[] {
  const { policies, limits: { maxNumSeqs, maxNumBatchedTokens } } = variant
  const speculation = policies.speculation === 'off' ? null : speculationPolicy(policies.speculation)
  return variant.fleet.flatMap((group) => {
    const [shape, timer] = [shapeOf(group, variant), openTimerOf(variant.timer, group)]
    const costModel = profileOf(timer, { shape, maxNumSeqs })
    const { role, link, drafts } = group
    return Array.from({ length: group.count }, (_, index): SimInstanceSpec => ({
      name: `${group.name}-${index + 1}`, role, link, shape, timer, costModel, jitterRatio, speculation, drafts, limits: { maxNumSeqs, maxNumBatchedTokens }, batching: policies.batching,
    }))
  })
}

/** A request alone on that machine, by the variant's own timer: its whole prompt in one step, then one step per token. */
export function referenceMachine(variant: Variant, reference: { readonly accelerator: string; readonly tp: number }): ReferenceMachine {
  const timer = openTimerOf(variant.timer, referenceGroup(variant, reference))
  return (promptTokens) => ({
    ttftMs: timer.stepMs({ cells: [{ cellTokens: promptTokens, contextTokens: 0 }], decodes: [] }),
    tbtMs: timer.stepMs({ cells: [], decodes: [{ contextTokens: promptTokens, nodes: 0 }] }),
  })
}

/** Of the whole fleet, US dollars. */
export function costPerHour(fleet: readonly FleetGroup[]): number {
  return fleet.reduce((sum, { accelerator, count, tp, pp, usdPerHour }) => sum + count * tp * pp * (usdPerHour ?? requireAccelerator(accelerator).pricePerHourUsd), 0)
}

/** Of the whole fleet at full draw. */
export function powerW(fleet: readonly FleetGroup[]): number {
  return fleet.reduce((sum, { accelerator, count, tp, pp, watts }) => sum + count * tp * pp * (watts ?? requireAccelerator(accelerator).powerWatts), 0)
}
