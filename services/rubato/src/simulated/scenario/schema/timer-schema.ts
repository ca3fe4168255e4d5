// Where the true step times of a scenario come from.
import { z } from 'zod'
import { fields, kindError, oneOf, ratio, text, wordAsKind } from './fields.ts'

const KINDS = z.discriminatedUnion('kind', [
  fields({ kind: z.literal('composed'), calibration: oneOf(['none', 'sarathi']).default('none') }),
  fields({ kind: z.literal('splitwise'), curves: oneOf(['measured', 'published']).default('measured') }),
  fields({ kind: z.literal('distserve'), engine: oneOf(['distserve', 'vllm']).default('distserve') }),
  fields({ kind: z.literal('profile'), file: text() }),
], { error: kindError })

export const TIMER_SCHEMA = z.preprocess(wordAsKind, KINDS)
export const JITTER_SCHEMA = ratio()
