// What generation_config.json recommends for sampling (`--generation-config auto`).
import path from 'node:path'
import { readJsonFields } from './config/json-fields.ts'
import type { JsonFields } from './config/json-fields.ts'

/** A null field means that the checkpoint recommends nothing: the server's own default applies. */
export interface GenerationDefaults {
  readonly temperature: number | null
  readonly topP: number | null
  /** 0 is off. */
  readonly topK: number | null
  readonly minP: number | null
  readonly repetitionPenalty: number | null
  readonly eosTokenIds: readonly number[]
  readonly maxNewTokens: number | null
}

const NO_DEFAULTS: GenerationDefaults = {
  temperature: null,
  topP: null,
  topK: null,
  minP: null,
  repetitionPenalty: null,
  eosTokenIds: [],
  maxNewTokens: null,
}

/**
 * Reads a checkpoint's recommended sampling; all null when it has no generation_config.json.
 * With `do_sample: false` the fields that only sampling uses are null. Throws CheckpointError for values out of range.
 */
export async function loadGenerationDefaults(dir: string): Promise<GenerationDefaults> {
  const fields = await readJsonFields(path.join(path.resolve(dir), 'generation_config.json'))
  if (fields === null) return NO_DEFAULTS
  return {
    ...(fields.flag('do_sample', true) ? samplingFields(fields) : NO_DEFAULTS),
    repetitionPenalty: fields.number('repetition_penalty', Number.MIN_VALUE),
    eosTokenIds: fields.tokenIds('eos_token_id'),
    maxNewTokens: fields.integer('max_new_tokens', 1),
  }
}

function samplingFields(fields: JsonFields): Pick<GenerationDefaults, 'temperature' | 'topP' | 'topK' | 'minP'> {
  const topK = fields.integer('top_k', -1)
  return {
    temperature: fields.number('temperature', 0),
    topP: fields.number('top_p', Number.MIN_VALUE, 1),
    // -1 also switches it off, in vLLM's spelling.
    topK: topK === -1 ? 0 : topK,
    minP: fields.number('min_p', 0, 1),
  }
}
