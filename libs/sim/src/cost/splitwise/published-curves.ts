// Iteration times as the published Splitwise simulator computes them, quirks included, for parity with its results:
//
// - prompt and token curves run over prompt size times batch size (tokens in KV at the prompt's end), through medians;
// - the token curve is then asked at the NUMBER OF DECODES, far left of its points, so that decodes are almost free of batch;
// - every row counts, the broken ones too.
import { curveAt, curveThrough } from '../curve.ts'
import { rowsOf } from './splitwise-profile.ts'
import type { SplitwiseMachine, SplitwiseRow } from './splitwise-profile.ts'

/** A batch of prompts and decodes takes this much longer than its tokens as prompts. */
export const MIXED_RATIO = 1.1

export interface PublishedSplitwiseCurves {
  /** A batch of prompts alone. */
  promptMs(promptTokens: number): number
  /** A step of decodes alone. */
  tokenMs(numDecodes: number): number
  /** One iteration of either kind or both; 0 when it is empty. */
  iterationMs(promptTokens: number, numDecodes: number): number
}

/** Throws RangeError when the machine was not measured. */
export function publishedSplitwiseCurves(rows: readonly SplitwiseRow[], machine: SplitwiseMachine): PublishedSplitwiseCurves {
  const own = rowsOf(rows, machine)
  const prompt = curveThrough(own.map(({ promptTokens, batch, promptMs }) => ({ x: promptTokens * batch, y: promptMs })))
  const token = curveThrough(own.map(({ promptTokens, batch, tokenMs }) => ({ x: promptTokens * batch, y: tokenMs })))
  const promptMs = (tokens: number): number => curveAt(prompt, tokens)
  const tokenMs = (numDecodes: number): number => curveAt(token, numDecodes)
  const iterationMs = (promptTokens: number, numDecodes: number): number => {
    if (promptTokens === 0) return numDecodes === 0 ? 0 : tokenMs(numDecodes)
    return numDecodes === 0 ? promptMs(promptTokens) : MIXED_RATIO * promptMs(promptTokens + numDecodes)
  }
  return { promptMs, tokenMs, iterationMs }
}
