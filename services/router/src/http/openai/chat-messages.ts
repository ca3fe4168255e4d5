// `messages` of a chat request. Content is text, or parts that are all text; other parts are refused by name.
import type { ChatMessage } from '../../client.ts'
import { FieldError, invalidField } from '../../front-door/field-error.ts'
import { takeFields } from './fields.ts'
import type { DefaultOnly } from './fields.ts'

const ROLES = new Set(['system', 'developer', 'user', 'assistant', 'tool'])
const MESSAGE_FIELDS = new Set(['role', 'content', 'name'])
const PART_FIELDS = new Set(['type', 'text'])

const emptyList: DefaultOnly = (value) => Array.isArray(value) && value.length === 0
/** What clients echo from a response into the next request. */
const MESSAGE_DEFAULTS: ReadonlyMap<string, DefaultOnly> = new Map<string, DefaultOnly>([
  ['tool_calls', emptyList],
  ['annotations', emptyList],
  // The template sees a tool's answer in the order of the messages; ids have no place in it.
  ['tool_call_id', (value, message) => typeof value === 'string' && message['role'] === 'tool'],
])

type Fields = Readonly<Record<string, unknown>>

function objectAt(value: unknown, field: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidField(field, 'must be an object', value)
  return value as Fields
}

/** takeFields, with the field's whole path in the error. */
function takeAt(value: Fields, field: string, honoured: ReadonlySet<string>, defaults: ReadonlyMap<string, DefaultOnly>): Fields {
  try {
    return takeFields(value, honoured, defaults)
  } catch (error) {
    if (!(error instanceof FieldError)) throw error
    throw new FieldError(`${field}.${error.field}`, error.message.replace(`'${error.field}'`, () => `'${field}.${error.field}'`), error.reason)
  }
}

function partText(value: unknown, field: string): string {
  const given = objectAt(value, field)
  if (given['type'] !== 'text') {
    throw new FieldError(`${field}.type`, `Unsupported content part: '${field}.type' must be 'text', got ${JSON.stringify(given['type']) ?? 'nothing'}.`, 'unsupported_parameter')
  }
  const part = takeAt(given, field, PART_FIELDS, new Map())
  if (typeof part['text'] !== 'string') throw invalidField(`${field}.text`, 'must be a string', part['text'])
  return part['text']
}

function contentText(content: unknown, field: string): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content) || content.length === 0) throw invalidField(field, 'must be a string or a non-empty list of text parts', content)
  // Parts are joined as vLLM joins them.
  return content.map((part, index) => partText(part, `${field}[${index}]`)).join('\n')
}

function parseMessage(value: unknown, index: number): ChatMessage {
  const at = `messages[${index}]`
  const { role, content, name } = takeAt(objectAt(value, at), at, MESSAGE_FIELDS, MESSAGE_DEFAULTS)
  if (typeof role !== 'string' || !ROLES.has(role)) throw invalidField(`${at}.role`, `must be one of ${[...ROLES].join(', ')}`, role)
  const message = { role, content: contentText(content, `${at}.content`) }
  if (name === undefined) return message
  if (typeof name !== 'string') throw invalidField(`${at}.name`, 'must be a string', name)
  return { ...message, name }
}

/** Throws FieldError with the path of the first thing that is wrong. */
export function parseMessages(value: unknown): readonly ChatMessage[] {
  if (!Array.isArray(value) || value.length === 0) throw invalidField('messages', 'must be a non-empty list of messages', value)
  return value.map(parseMessage)
}
