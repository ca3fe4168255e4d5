// `prompt` of /v1/completions: a text, a list of texts, token ids, or a list of those.
import type { ClientInput } from '../../client.ts'
import { FieldError, invalidField } from '../../front-door/field-error.ts'
import { isTokenIds } from '../../front-door/sampling-schema.ts'

const RULE = 'must be a string, a list of strings, a list of token ids, or a list of lists of token ids, none empty'

function onePrompt(value: unknown, field: string): ClientInput {
  if (typeof value === 'string') return { kind: 'text', text: value }
  if (isTokenIds(value) && value.length > 0) return { kind: 'tokens', tokenIds: value }
  throw invalidField(field, RULE, value)
}

/** One input per prompt, at least one. Throws FieldError naming the prompt at fault. */
export function parsePrompts(value: unknown, maxPrompts: number): readonly ClientInput[] {
  if (!Array.isArray(value)) return [onePrompt(value, 'prompt')]
  if (value.length === 0) throw invalidField('prompt', RULE, value)
  if (typeof value[0] === 'number') return [onePrompt(value, 'prompt')]
  if (value.length > maxPrompts) throw new FieldError('prompt', `Invalid 'prompt': at most ${maxPrompts} prompts fit one request, got ${value.length}.`)
  return value.map((prompt, index) => onePrompt(prompt, `prompt[${index}]`))
}
