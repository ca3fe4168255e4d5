// Timers by name: reads the data files that a kind of timer needs for a machine, and says what is missing.
import { InvalidArgument } from '@rubato/config'
import type { CostPoint } from '@rubato/policy'
import { calibrateComposed } from './composed/calibration.ts'
import { UNCALIBRATED, composedTimer } from './composed/composed-timer.ts'
import type { ComposedParts } from './composed/composed-timer.ts'
import { measuredAllReduce, ringAllReduce } from './composed/network-table.ts'
import type { AllReduceTime } from './composed/network-table.ts'
import { tabledLayerMs } from './composed/operator-table.ts'
import { rooflineLayerMs } from './composed/roofline.ts'
import { SARATHI_MACHINE, fittedSarathiSteps } from './composed/sarathi-steps.ts'
import { loadDistServeProfile, loadNetworkTable, loadOperatorTable, loadSarathiSteps, loadSplitwiseProfile } from './data-files.ts'
import { distServeForm } from './distserve/distserve-profile.ts'
import { distServeTimer } from './distserve/distserve-timer.ts'
import { ACCELERATOR_NAMES, acceleratorNamed } from './machine/accelerators.ts'
import type { Accelerator } from './machine/accelerators.ts'
import { MODEL_NAMES, layerWeightCount, modelNamed } from './machine/model-architectures.ts'
import type { ModelArchitecture } from './machine/model-architectures.ts'
import { profileTimer } from './profile/profile-timer.ts'
import { publishedSplitwiseTimer, splitwiseTimer } from './splitwise/splitwise-timer.ts'
import type { StepTimer } from './step-timer.ts'

export type TimerChoice =
  /** `sarathi`: as measured on Sarathi-Serve's engine, for its one machine. @default none */
  | { readonly kind: 'composed'; readonly calibration?: 'none' | 'sarathi' }
  /** `published`: as the paper's own simulator reads the same measurements, decodes nearly free of their batch. @default measured */
  | { readonly kind: 'splitwise'; readonly curves?: 'measured' | 'published' }
  /** The engine whose steps were fitted. @default distserve */
  | { readonly kind: 'distserve'; readonly engine?: 'distserve' | 'vllm' }
  /** The points of a real engine's start-up profile; the machine does not matter. */
  | { readonly kind: 'profile'; readonly points: readonly CostPoint[] }

/** What one instance runs on. */
export interface TimerMachine {
  readonly accelerator: string
  readonly model: string
  /** Tensor parallel degree. */
  readonly tp: number
  /** Pipeline stages: only `distserve` knows more than one. */
  readonly pp: number
}

/** Operator tables by accelerator, with the model each was measured with; the PCIe variant shares those of the other. */
const A100_TABLES = [
  { file: 'a100_Llama-2-7b-hf', model: 'llama2-7b' }, { file: 'a100_Meta-Llama-3-8B', model: 'llama3-8b' },
  { file: 'a100_CodeLlama-34b-Instruct-hf', model: 'codellama-34b' }, { file: 'a100_Llama-2-70b-hf', model: 'llama2-70b' },
] as const
const OPERATOR_TABLES: Readonly<Record<string, readonly { readonly file: string; readonly model: string }[]>> = {
  'a100-80gb': A100_TABLES,
  'a100-80gb-pcie': A100_TABLES,
  'h100-80gb': [
    { file: 'h100_Llama-2-7b-hf', model: 'llama2-7b' }, { file: 'h100_CodeLlama-34b-Instruct-hf', model: 'codellama-34b' }, { file: 'h100_Llama-2-70b-hf', model: 'llama2-70b' },
  ],
  a40: [{ file: 'a40_Llama-2-70b-hf', model: 'llama2-70b' }],
}

/** Machines between whose devices an all-reduce was measured. */
const ALL_REDUCES: Readonly<Record<string, string>> = { 'a100-80gb': 'a100_dgx', 'a100-80gb-pcie': 'a100_pairwise_nvlink', 'h100-80gb': 'h100_dgx', 'h100-80gb-pcap': 'h100_dgx' }
/** Those with sends between two devices only. */
const SENDS: Readonly<Record<string, string>> = { a40: 'a40_pairwise_nvlink' }
/** What DistServe measured on. */
const DISTSERVE_ACCELERATOR = 'a100-80gb'

/** Rethrows a RangeError of the tables as one about the caller's machine. */
function aboutField<T>(field: keyof TimerMachine, open: () => T): T {
  try {
    return open()
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new InvalidArgument(field, cause.message, { cause })
  }
}

/** Throws InvalidArgument `accelerator` with the names there are. */
export function requireAccelerator(name: string): Accelerator {
  const accelerator = acceleratorNamed(name)
  if (accelerator === undefined) throw new InvalidArgument('accelerator', `${name} is not known: one of ${ACCELERATOR_NAMES.join(', ')}`)
  return accelerator
}

/** Throws InvalidArgument `model` with the names there are. */
export function requireModel(name: string): ModelArchitecture {
  const model = modelNamed(name)
  if (model === undefined) throw new InvalidArgument('model', `${name} is not known: one of ${MODEL_NAMES.join(', ')}`)
  return model
}

/** The table whose layers are nearest in size. */
function nearestTable(accelerator: Accelerator, model: ModelArchitecture): string | undefined {
  const distance = (other: string): number => Math.abs(Math.log(layerWeightCount(requireModel(other)) / layerWeightCount(model)))
  return OPERATOR_TABLES[accelerator.name]?.toSorted((a, b) => distance(a.model) - distance(b.model))[0]?.file
}

function allReduceOf(accelerator: Accelerator, tp: number): AllReduceTime {
  const [reduces, sends] = [ALL_REDUCES[accelerator.name], SENDS[accelerator.name]]
  if (reduces !== undefined) return measuredAllReduce(loadNetworkTable(reduces, 'all_reduce', tp))
  if (sends !== undefined) return ringAllReduce(loadNetworkTable(sends, 'send_recv', 2), tp)
  throw new RangeError(`nothing was measured between devices of type ${accelerator.name}: tp must be 1`)
}

/** What is known of an engine on this machine, from measured tables where there are some. Throws InvalidArgument `tp` where nothing was measured. */
export function openComposedParts(accelerator: Accelerator, model: ModelArchitecture, tp: number): ComposedParts {
  const file = nearestTable(accelerator, model)
  return aboutField('tp', () => ({
    accelerator, model, tp,
    layerMs: file === undefined ? rooflineLayerMs(accelerator, model, tp) : tabledLayerMs(loadOperatorTable(file), model, tp),
    allReduceMs: tp === 1 ? null : allReduceOf(accelerator, tp),
  }))
}

function openComposed(parts: ComposedParts, calibration: 'none' | 'sarathi'): StepTimer {
  if (calibration === 'none') return composedTimer(parts, UNCALIBRATED)
  const { accelerator, model, tp } = SARATHI_MACHINE
  if (parts.accelerator.name !== accelerator || parts.model.name !== model || parts.tp !== tp) throw new InvalidArgument('calibration', `sarathi was measured with ${model} on ${accelerator}, tp ${tp}`)
  return composedTimer(parts, calibrateComposed(parts, fittedSarathiSteps(loadSarathiSteps())))
}

/**
 * The timer of a machine. Reads data files. Throws InvalidArgument naming the field (accelerator, model, tp, pp, calibration)
 * that has no such name or was not measured.
 */
export function openTimer(choice: TimerChoice, machine: TimerMachine): StepTimer {
  if (choice.kind === 'profile') return profileTimer(choice.points)
  const { tp, pp } = machine
  const [accelerator, model] = [requireAccelerator(machine.accelerator), requireModel(machine.model)]
  if (pp !== 1 && choice.kind !== 'distserve') throw new InvalidArgument('pp', `${choice.kind} times know one stage only, got ${pp}`)
  switch (choice.kind) {
    case 'composed': return openComposed(openComposedParts(accelerator, model, tp), choice.calibration ?? 'none')
    case 'splitwise': return aboutField('model', () => (choice.curves === 'published' ? publishedSplitwiseTimer : splitwiseTimer)({ rows: loadSplitwiseProfile(), accelerator, model, tp }))
    case 'distserve': {
      if (accelerator.name !== DISTSERVE_ACCELERATOR) throw new InvalidArgument('accelerator', `DistServe measured on ${DISTSERVE_ACCELERATOR} only`)
      return aboutField('model', () => distServeTimer({ form: distServeForm(loadDistServeProfile(choice.engine ?? 'distserve'), model.name, tp), pp }))
    }
  }
}
