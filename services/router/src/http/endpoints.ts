// The endpoints that answer at once: models, tokenizer, health, version, metrics.
import { z } from 'zod'
import type { ClientInput, ModelCard, RouterPort } from '../client.ts'
import { parseFields } from '../front-door/field-error.ts'
import { modelOf } from '../front-door/request-headers.ts'
import { flag, isTokenIds, text } from '../front-door/sampling-schema.ts'
import { HttpError } from './http-error.ts'
import { parseMessages } from './openai/chat-messages.ts'
import { takeFields } from './openai/fields.ts'
import type { DefaultOnly } from './openai/fields.ts'

type Body = Readonly<Record<string, unknown>>

function modelJson(card: ModelCard): object {
  return { id: card.id, object: 'model', created: card.createdS, owned_by: 'rubato', root: card.id, parent: null, max_model_len: card.maxModelLen }
}

export function listModels(router: RouterPort): object {
  return { object: 'list', data: router.models().map(modelJson) }
}

export function getModel(router: RouterPort, id: string): object {
  const card = router.models().find((model) => model.id === id)
  if (card === undefined) {
    throw new HttpError(404, { message: `The model '${id}' does not exist.`, type: 'invalid_request_error', param: 'model', code: 'model_not_found' })
  }
  return modelJson(card)
}

const tokenizeSchema = z.object({ model: text.optional(), prompt: text.optional(), messages: z.unknown().optional(), add_special_tokens: flag.optional() })
const TOKENIZE_FIELDS = new Set(Object.keys(tokenizeSchema.shape))
const TOKENIZE_DEFAULTS: ReadonlyMap<string, DefaultOnly> = new Map<string, DefaultOnly>([
  ['add_generation_prompt', (value) => value === true],
  ['return_token_strs', (value) => value === false],
])

/** vLLM's /tokenize: a prompt, or messages that the chat template renders first. */
export async function tokenize(router: RouterPort, body: Body): Promise<object> {
  const fields = parseFields(tokenizeSchema, takeFields(body, TOKENIZE_FIELDS, TOKENIZE_DEFAULTS))
  const model = modelOf(router, fields.model)
  const chat = fields.messages !== undefined
  if (chat === (fields.prompt !== undefined)) {
    throw new HttpError(400, { message: "Give either 'prompt' or 'messages'.", type: 'invalid_request_error', param: 'prompt', code: 'missing_required_parameter' })
  }
  const input: ClientInput = chat ? { kind: 'chat', messages: parseMessages(fields.messages) } : { kind: 'text', text: fields.prompt ?? '' }
  const tokens = await router.tokenize(model, input, fields.add_special_tokens ?? !chat)
  const card = router.models().find((known) => known.id === model)
  return { count: tokens.length, max_model_len: card?.maxModelLen ?? null, tokens, token_strs: null }
}

const detokenizeSchema = z.object({ model: text.optional(), tokens: z.custom<number[]>(isTokenIds, { error: 'must be a list of token ids' }) })
const DETOKENIZE_FIELDS = new Set(Object.keys(detokenizeSchema.shape))

export async function detokenize(router: RouterPort, body: Body): Promise<object> {
  const fields = parseFields(detokenizeSchema, takeFields(body, DETOKENIZE_FIELDS, new Map()))
  return { prompt: await router.detokenize(modelOf(router, fields.model), fields.tokens) }
}
