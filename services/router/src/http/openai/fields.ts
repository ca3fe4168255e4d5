// Which request fields exist beside those we honour. Nothing is ignored in silence: a field is honoured, accepted in the
// one form that asks for nothing, or refused by name. null always means "the default".
import { FieldError, shown } from '../../front-door/field-error.ts'

type Body = Readonly<Record<string, unknown>>

/** True when the value asks for nothing that the server does not do anyway. */
export type DefaultOnly = (value: unknown, body: Body) => boolean

const is = (...accepted: readonly unknown[]): DefaultOnly => (value) => accepted.includes(value)
const anyText: DefaultOnly = (value) => typeof value === 'string'
const anyFlag: DefaultOnly = (value) => typeof value === 'boolean'
const anyObject: DefaultOnly = (value) => typeof value === 'object' && !Array.isArray(value)
const emptyList: DefaultOnly = (value) => Array.isArray(value) && value.length === 0
const emptyObject: DefaultOnly = (value) => typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
const never: DefaultOnly = () => false

/** OpenAI's and vLLM's fields that we know and accept in their default form only. Labels of the caller pass as they are. */
export const DEFAULT_ONLY_FIELDS: ReadonlyMap<string, DefaultOnly> = new Map<string, DefaultOnly>([
  // Labels for the caller's own records; they never change what is generated.
  ['user', anyText],
  ['safety_identifier', anyText],
  ['prompt_cache_key', anyText],
  ['metadata', anyObject],
  // OpenAI
  ['store', is(false)],
  ['service_tier', is('auto', 'default')],
  ['prompt_cache_retention', is('in_memory')],
  ['best_of', (value, body) => value === (body['n'] ?? 1)],
  ['suffix', is('')],
  ['tools', emptyList],
  ['functions', emptyList],
  ['tool_choice', is('none', 'auto')],
  ['function_call', is('none', 'auto')],
  // Without tools it says nothing.
  ['parallel_tool_calls', anyFlag],
  ['response_format', (value) => typeof value === 'object' && value !== null && Object.keys(value).length === 1 && 'type' in value && value.type === 'text'],
  ['modalities', (value) => Array.isArray(value) && value.length === 1 && value[0] === 'text'],
  ['reasoning_effort', is('none')],
  ['verbosity', is('medium')],
  ['prediction', never],
  ['audio', never],
  ['web_search_options', never],
  ['moderation', never],
  ['prompt_cache_options', never],
  // vLLM
  ['use_beam_search', is(false)],
  ['early_stopping', is(false)],
  ['length_penalty', is(1)],
  ['skip_special_tokens', is(true)],
  ['spaces_between_special_tokens', is(true)],
  ['include_stop_str_in_output', is(false)],
  ['add_special_tokens', (value, body) => value === ('prompt' in body)],
  ['add_generation_prompt', is(true)],
  ['continue_final_message', is(false)],
  ['include_reasoning', is(true)],
  ['return_tokens_as_token_ids', is(false)],
  ['chat_template_kwargs', emptyObject],
  ['documents', emptyList],
  ['bad_words', emptyList],
  ['chat_template', never],
  ['prompt_logprobs', never],
  ['truncate_prompt_tokens', never],
  ['allowed_token_ids', never],
  ['structured_outputs', never],
  ['guided_json', never],
  ['guided_regex', never],
  ['guided_choice', never],
  ['guided_grammar', never],
  ['logits_processors', never],
  ['kv_transfer_params', never],
  ['vllm_xargs', never],
  ['mm_processor_kwargs', never],
  ['prompt_embeds', never],
])

/** The fields in `honoured` that are not null. Throws FieldError for every other one that asks for something. */
export function takeFields(body: Body, honoured: ReadonlySet<string>, defaults: ReadonlyMap<string, DefaultOnly>): Record<string, unknown> {
  const taken: Record<string, unknown> = {}
  for (const name of Object.keys(body)) {
    const value = body[name]
    if (value === null || value === undefined) continue
    if (honoured.has(name)) {
      taken[name] = value
      continue
    }
    const asksNothing = defaults.get(name)
    if (asksNothing === undefined) throw new FieldError(name, `Unknown parameter: '${name}'. Remove it.`, 'unknown_parameter')
    if (!asksNothing(value, body)) {
      throw new FieldError(name, `Unsupported parameter: '${name}' is not supported with the value ${shown(value)}. Remove it or leave it at its default.`, 'unsupported_parameter')
    }
  }
  return taken
}
