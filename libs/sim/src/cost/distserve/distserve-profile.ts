// DistServe's fitted forms (Zhong et al., OSDI'24, App. A; the simulator's profiles), in milliseconds, and its KV capacities.
//
//   prefill stage = (a + b * sum(len) + c * sum(len^2)) / PP + 1.0 * PP
//   decode stage  = (a + b * sum(context + 1) + c * batch) / PP      other a, b, c from 95 sequences on
//   first stage of every step: 2 + 1e-4 * sum(context) more for handing out the work
import { csvRows, numberIn, textIn } from '../csv.ts'

/** Fixed part, per token (of context), per squared token or per sequence. */
export type Coefficients = readonly [a: number, b: number, c: number]

export interface DistServeForm {
  readonly prefill: Coefficients
  readonly smallBatch: Coefficients
  readonly largeBatch: Coefficients
  /** Sequences from which `largeBatch` holds. */
  readonly largeBatchFrom: number
}

/** Forms by model, then by tensor parallel degree. */
export type DistServeProfile = ReadonlyMap<string, ReadonlyMap<number, DistServeForm>>

const STAGE_HOP_MS = 1
const HANDING_OUT_MS = 2
const HANDING_OUT_PER_TOKEN_MS = 1e-4

interface RawForm {
  readonly decoding_large_small_bs_threshold: number
  readonly prefill: Coefficients
  readonly decoding_smallbs: Coefficients
  readonly decoding_largebs: Coefficients
}

/** Names as ours: without the publisher. */
function ownName(model: string): string {
  return model.slice(model.lastIndexOf('/') + 1)
}

export function parseDistServeProfile(json: string): DistServeProfile {
  const models = JSON.parse(json) as Readonly<Record<string, Readonly<Record<string, RawForm>>>>
  return new Map(Object.entries(models).map(([model, byTp]) => [ownName(model), new Map(Object.entries(byTp).map(([tp, raw]) => [Number(tp), {
    prefill: raw.prefill, smallBatch: raw.decoding_smallbs, largeBatch: raw.decoding_largebs, largeBatchFrom: raw.decoding_large_small_bs_threshold,
  }]))]))
}

/** Throws RangeError when nothing was fitted for it. */
export function distServeForm(profile: DistServeProfile, model: string, tp: number): DistServeForm {
  const form = profile.get(model)?.get(tp)
  if (form === undefined) throw new RangeError(`DistServe fitted nothing for ${model} with tp ${tp}`)
  return form
}

/** One of `pp` stages of a batch of whole prompts: the sums over their lengths and squared lengths. */
export function prefillStageMs({ prefill: [a, b, c] }: DistServeForm, tokens: number, squaredTokens: number, pp: number): number {
  return (a + b * tokens + c * squaredTokens) / pp + STAGE_HOP_MS * pp
}

export function decodeCoefficients(form: DistServeForm, batch: number): Coefficients {
  return batch < form.largeBatchFrom ? form.smallBatch : form.largeBatch
}

/** One of `pp` stages of a decode step; `contextTokens` counts each sequence's newest token too. */
export function decodeStageMs(form: DistServeForm, batch: number, contextTokens: number, pp: number): number {
  const [a, b, c] = decodeCoefficients(form, batch)
  return (a + b * contextTokens + c * batch) / pp
}

/** What the first stage of every step takes longer ("ray overhead"). */
export function handingOutMs(contextTokens: number): number {
  return HANDING_OUT_MS + HANDING_OUT_PER_TOKEN_MS * contextTokens
}

/** KV tokens that an instance holds (max_num_tokens.csv); undefined where DistServe lists none. */
export type DistServeCapacity = (model: string, tp: number, pp: number) => number | undefined

export function parseDistServeCapacity(csv: string): DistServeCapacity {
  const tokens = new Map(csvRows(csv).map((row) => [`${ownName(textIn(row, 'model'))} ${numberIn(row, 'tp')} ${numberIn(row, 'pp')}`, numberIn(row, 'max_num_tokens')]))
  return (model, tp, pp) => tokens.get(`${model} ${tp} ${pp}`)
}
