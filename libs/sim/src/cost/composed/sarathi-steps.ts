// Steps of Yi-34B on two A100-80GB PCIe as Sarathi-Serve measured them (its OSDI artifact), and the share of them that a
// calibration may see: the rest tells how well it predicts.
import { csvRows, numberIn } from '../csv.ts'
import type { CalibrationSteps, MeasuredStep } from './calibration.ts'

/** The machine that the steps were measured on. */
export const SARATHI_MACHINE = { accelerator: 'a100-80gb-pcie', model: 'yi-34b', tp: 2 }

export interface SarathiSteps {
  /** One prompt each, by its tokens. */
  readonly prefills: ReadonlyMap<number, MeasuredStep>
  /** Decodes alone, by their number. */
  readonly decodes: ReadonlyMap<number, MeasuredStep>
}

/** Of the measured decodes: assumed, the files do not say. A calibration takes only the host's time from them, which does not depend on it. */
const CONTEXT_TOKENS = 1024
/** 256 is left out for good: it was the first batch of its run, and took longer than 512. */
const FITTED_PREFILLS = [128, 1024, 4096, 16384]
const FITTED_DECODES = [1, 4, 16, 64]

function prefillWork(cellTokens: number): MeasuredStep['work'] {
  return { cells: [{ cellTokens, contextTokens: 0 }], decodes: [] }
}

function decodeWork(numDecodes: number): MeasuredStep['work'] {
  return { cells: [], decodes: Array.from({ length: numDecodes }, () => ({ contextTokens: CONTEXT_TOKENS, nodes: 0 })) }
}

function stepsIn(csv: string, countColumn: string, workOf: (count: number) => MeasuredStep['work']): ReadonlyMap<number, MeasuredStep> {
  return new Map(csvRows(csv).map((row) => {
    const count = numberIn(row, countColumn)
    return [count, { work: workOf(count), ms: 1000 * numberIn(row, 'batch_execution_time') }]
  }))
}

/** Throws RangeError where a field is missing or no number. */
export function parseSarathiSteps(prefillCsv: string, decodeCsv: string): SarathiSteps {
  return { prefills: stepsIn(prefillCsv, 'batch_num_prefill_tokens', prefillWork), decodes: stepsIn(decodeCsv, 'batch_num_decode_tokens', decodeWork) }
}

/** The steps to calibrate with. Throws RangeError when one of them is missing. */
export function fittedSarathiSteps({ prefills, decodes }: SarathiSteps): CalibrationSteps {
  const pick = (steps: ReadonlyMap<number, MeasuredStep>, counts: readonly number[]): MeasuredStep[] => counts.map((count) => {
    const step = steps.get(count)
    if (step === undefined) throw new RangeError(`no measured step of ${count}`)
    return step
  })
  return { withCells: pick(prefills, FITTED_PREFILLS), decodesOnly: pick(decodes, FITTED_DECODES) }
}
