// Values of the speculation group as settings, with vLLM's --speculative-config mapped onto them or refused by name.
import path from 'node:path'
import { z } from 'zod'
import { InvalidArgument } from '../errors.ts'
import type { FlagValues } from '../flags/flag.ts'
import type { SPECULATION_FLAGS } from '../groups/speculation-flags.ts'
import type { SpeculationSettings } from './settings.ts'
import type { Machine } from '../sources/machine.ts'
import type { OriginOf } from '../sources/read-values.ts'

/** Where the process hosts speculators of its own, speculation is asked for. */
type SpeculationValues = FlagValues<typeof SPECULATION_FLAGS> & { readonly speculators?: number }

const BUNDLED_MODEL = 'models/shakespeare-target'
const BUNDLED_DRAFT = 'models/shakespeare-draft'
const FIELD = 'speculative-config'
const METHODS = ['draft_model', 'ngram', 'suffix'] as const

const CONFIG_SCHEMA = z.object({ method: z.string().optional(), model: z.string().min(1).optional(), num_speculative_tokens: z.int().min(1).max(32).optional() })

/** `draftDir` is of the machine's own model; null: there is none. */
export function speculationSettings(values: SpeculationValues, { modelDir, engine }: { readonly modelDir: string; readonly engine: string }, machine: Pick<Machine, 'repoRoot'>, originOf: OriginOf): SpeculationSettings {
  const given = values[FIELD] === null ? null : foreignConfig(values[FIELD], originOf)
  if (given !== null && values.speculation !== null && values.speculation !== 'auto') {
    throw new InvalidArgument(FIELD, `(${originOf(FIELD)}) and --speculation ${values.speculation} (${originOf('speculation')}) contradict each other; keep one`)
  }
  const drafting = values.drafting ?? 'auto'
  const draftDir = engine === 'onnx' ? draftDirOf(given?.model ?? values.draft, modelDir, machine.repoRoot) : null
  if (given === null) {
    // Until it is shown to pay at every load, speculation is on only where it is asked for.
    const isAskedFor = (values.draft !== null && values.draft !== 'none') || values.drafting !== null || (values.speculators ?? 0) > 0
    const policy = values.speculation ?? (isAskedFor ? 'auto' : 'off')
    return { policy, proposer: 'draft', draftDir: policy === 'off' || policy === 'ngram' ? null : draftDir, drafting }
  }
  const { proposer, numTokens } = given
  if (proposer === 'draft' && draftDir === null && drafting !== 'remote') throw new InvalidArgument(FIELD, `(${originOf(FIELD)}) asks for a draft model: name its directory as "model", or with --draft`)
  const policy = numTokens === null ? (proposer === 'draft' ? 'auto' : 'ngram') : `static:${numTokens}`
  return { policy, proposer, draftDir: proposer === 'draft' ? draftDir : null, drafting }
}

/** The one that `draft` says, or the bundled model's; null: there is none. */
export function draftDirOf(draft: string | null, modelDir: string, repoRoot: string): string | null {
  if (draft === 'none') return null
  if (draft !== null) return path.resolve(draft)
  return modelDir === path.join(repoRoot, BUNDLED_MODEL) ? path.join(repoRoot, BUNDLED_DRAFT) : null
}

interface ForeignConfig {
  readonly proposer: SpeculationSettings['proposer']
  readonly model: string | null
  readonly numTokens: number | null
}

function foreignConfig(json: string, originOf: OriginOf): ForeignConfig {
  const fail = (what: string): InvalidArgument => new InvalidArgument(FIELD, `(${originOf(FIELD)}) ${what}`)
  const raw = parseObject(json)
  if (raw === null) throw fail('must be a JSON object, such as {"method":"ngram","num_speculative_tokens":4}')
  const unknown = Object.keys(raw).find((key) => !(key in CONFIG_SCHEMA.shape))
  if (unknown !== undefined) throw fail(`holds ${unknown}, which is not available; there are ${Object.keys(CONFIG_SCHEMA.shape).join(', ')}`)
  const parsed = CONFIG_SCHEMA.safeParse(raw)
  if (!parsed.success) throw fail(`holds a wrong ${parsed.error.issues[0]?.path.join('.') ?? 'value'}: ${parsed.error.issues[0]?.message ?? ''}`)
  const { method = 'draft_model', model = null, num_speculative_tokens: numTokens = null } = parsed.data
  const known = METHODS.find((name) => name === method)
  if (known === undefined) throw fail(`asks for method ${method}, which is not available; use ${METHODS.join(', ')}`)
  // vLLM also takes the method's name as the model.
  return { proposer: known === 'draft_model' ? 'draft' : known, model: model === known ? null : model, numTokens }
}

function parseObject(json: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null
  } catch {
    return null
  }
}
