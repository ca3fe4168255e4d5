import { CheckpointError, InvalidArgument } from '@rubato/config'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { sentencePieceConfig, sentencePieceTokenizer } from './fixtures/sentencepiece.ts'
import { BUNDLED_MODEL, temporaryCheckpoint } from './fixtures/temporary-checkpoint.ts'
import { loadTextModel } from './text-model.ts'

const bundled = loadTextModel(BUNDLED_MODEL, { vocabSize: 1024 })
const reference = JSON.parse(readFileSync(path.join(BUNDLED_MODEL, 'reference.json'), 'utf8')) as { text: string; prompt_ids: number[]; greedy_ids: number[]; greedy_text: string }
const files = () => ({ 'tokenizer.json': sentencePieceTokenizer(), 'tokenizer_config.json': sentencePieceConfig() })

test('encodes and decodes as the reference implementation does', () => {
  assert.deepEqual(bundled.encode(reference.text, true), reference.prompt_ids)
  assert.equal(bundled.decode(reference.prompt_ids), reference.text)
  assert.equal(bundled.decode(reference.greedy_ids), reference.greedy_text)
  assert.deepEqual(bundled.encode('', true), [])
  assert.equal(bundled.decode([]), '')
})

test('round trips text outside the vocabulary through bytes', () => {
  for (const text of ['Ünïcødé', '日本語 テキスト', '👩‍👩‍👧‍👦 🇫🇷', '\uFEFFbom', 'tab\tnul\0end', ' leading  spaces ']) assert.equal(bundled.decode(bundled.encode(text, false)), text)
})

test('keeps special tokens out of the text unless asked', () => {
  const ids = bundled.encode('<|user|>Hi<|endoftext|>', false)
  assert.deepEqual([ids[0], ids.at(-1)], [1, 0])
  assert.equal(bundled.decode(ids), 'Hi')
  assert.equal(bundled.decode(ids, { skipSpecialTokens: false }), '<|user|>Hi<|endoftext|>')
})

test('refuses lone surrogates by field', () => {
  assert.throws(() => bundled.encode('a\ud83d', true, 'prompt[3]'), (error) => error instanceof InvalidArgument && error.field === 'prompt[3]')
  const messages = [{ role: 'user', content: 'fine' }, { role: 'user', content: '\ude00x' }]
  assert.throws(() => bundled.renderChat(messages), (error) => error instanceof InvalidArgument && error.field === 'messages[1].content')
})

test('renders the template of the checkpoint', () => {
  const messages = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Speak.' }]
  const turns = '<|system|>Be brief.<|endoftext|><|user|>Speak.<|endoftext|>'
  assert.equal(bundled.renderChat(messages), `${turns}<|assistant|>`)
  assert.equal(bundled.renderChat(messages, { addGenerationPrompt: false }), turns)
})

test('takes the template from the option, then chat_template.jinja, then the default of a list', (context) => {
  const named = [{ name: 'tool_use', template: 'tools' }, { name: 'default', template: '{{ bos_token }}list{{ eos_token }}' }]
  const listed = { ...files(), 'tokenizer_config.json': { ...sentencePieceConfig(), chat_template: named } }
  const dir = temporaryCheckpoint(context, listed)
  assert.equal(loadTextModel(dir).renderChat([]), '<s>list</s>')
  const withFile = temporaryCheckpoint(context, { ...listed, 'chat_template.jinja': 'file', 'other.txt': 'option' })
  assert.equal(loadTextModel(withFile).renderChat([]), 'file')
  assert.equal(loadTextModel(withFile, { chatTemplate: path.join(withFile, 'other.txt') }).renderChat([]), 'option')
  assert.equal(loadTextModel(withFile, { chatTemplate: '{{ "in" }}line' }).renderChat([]), 'inline')
  assert.throws(() => loadTextModel(withFile, { chatTemplate: 'no-such-file' }), (error) => error instanceof InvalidArgument && error.field === 'chat-template')
})

test('serves templates that raise, ask for the date or take variables', (context) => {
  const source = `{%- if messages | length == 0 -%}{{ raise_exception('no turns') }}{%- endif -%}
{{ strftime_now('%Y') | length }}{% generation %}{{ extra | tojson }}{% endgeneration %}`
  const model = loadTextModel(temporaryCheckpoint(context, files()), { chatTemplate: source })
  assert.throws(() => model.renderChat([]), (error) => error instanceof InvalidArgument && error.field === 'messages' && /no turns/.test(error.message))
  assert.equal(model.renderChat([{ role: 'user', content: 'x' }], { variables: { extra: [1, 'a'] } }), '4[1, "a"]')
})

test('says how to supply a missing template', (context) => {
  const model = loadTextModel(temporaryCheckpoint(context, files()))
  assert.equal(model.hasChatTemplate, false)
  assert.throws(() => model.renderChat([]), (error) => error instanceof InvalidArgument && error.field === 'messages' && /--chat-template/.test(error.message))
})

test('encodes in the SentencePiece manner: prefix space, byte fallback, beginning of sequence', (context) => {
  const model = loadTextModel(temporaryCheckpoint(context, files()))
  const contents = (ids: readonly number[]) => ids.map((id) => Buffer.from(model.tokens.bytesOf(id)).toString('latin1'))
  assert.deepEqual(contents(model.encode('hello world', true)), ['<s>', ' hello', ' world'])
  assert.deepEqual(contents(model.encode('z', false)), [' ', 'z'])
  for (const text of ['hello world', ' two  spaces', '日本 👋', 'é.']) assert.equal(model.decode(model.encode(text, true)), text)
})

test('frames texts as transformers does for the Llama classes', (context) => {
  const config = { ...sentencePieceConfig(), tokenizer_class: 'LlamaTokenizerFast' }
  const bare = { ...sentencePieceTokenizer(), post_processor: null }
  const idsWith = (extra: object) => loadTextModel(temporaryCheckpoint(context, { 'tokenizer.json': bare, 'tokenizer_config.json': { ...config, ...extra } })).encode('', true)
  assert.deepEqual(idsWith({}), [1])
  assert.deepEqual(idsWith({ add_bos_token: false }), [])
  assert.deepEqual(idsWith({ add_eos_token: true }), [1, 2])
})

test('adds tokens that only tokenizer_config.json declares', (context) => {
  const config = { ...sentencePieceConfig(), added_tokens_decoder: { 500: { content: '<|end|>', special: true }, 501: { content: '<tool>', special: false } } }
  const model = loadTextModel(temporaryCheckpoint(context, { ...files(), 'tokenizer_config.json': config }))
  assert.deepEqual(model.encode('<|end|><tool>', false), [500, 501])
  assert.equal(model.decode([500, 501]), '<tool>')
  assert.equal(model.tokens.numTokens, 502)
  assert.equal(model.decode([400]), '')
})

test('names the file when a checkpoint cannot be served', (context) => {
  const broken = (change: Record<string, unknown>, extra: Record<string, unknown> = {}) => temporaryCheckpoint(context, { ...files(), 'tokenizer.json': { ...sentencePieceTokenizer(), ...change }, ...extra })
  const cases: readonly (readonly [dir: string, message: RegExp])[] = [
    [temporaryCheckpoint(context, {}), /tokenizer\.json: file: missing/],
    [temporaryCheckpoint(context, { 'tokenizer.json': '{"model":' }), /tokenizer\.json: json: not valid JSON/],
    [broken({}, { 'tokenizer_config.json': { chat_template: 7 } }), /tokenizer_config\.json: chat_template/],
    [broken({}, { 'chat_template.jinja': '{% if %}' }), /chat_template: does not parse/],
    [broken({ decoder: null }), /decoder: missing/],
    [broken({ decoder: { type: 'WordPiece', prefix: '##' } }), /decoder: WordPiece/],
    [broken({ model: { type: 'WordLevel', vocab: {} } }), /model\.type: WordLevel/],
    [broken({ pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious', invert: false } }), /MergedWithPrevious/],
    [broken({ pre_tokenizer: { type: 'Nonsense' } }), /tokenizer: Unknown PreTokenizer/],
  ]
  for (const [dir, message] of cases) assert.throws(() => loadTextModel(dir), (error) => error instanceof CheckpointError && message.test(error.message), String(message))
})

test('refuses a tokenizer with more tokens than the model has rows', () => {
  assert.throws(() => loadTextModel(BUNDLED_MODEL, { vocabSize: 1023 }), (error) => error instanceof CheckpointError && error.field === 'vocab')
})

test('digest changes with the template in force', () => {
  assert.equal(loadTextModel(BUNDLED_MODEL).digest, bundled.digest)
  assert.notEqual(loadTextModel(BUNDLED_MODEL, { chatTemplate: '{{ 1 }}' }).digest, bundled.digest)
})

test('models have one vocabulary when the same tokens have the same ids, whatever else is in their files', (t) => {
  const original = loadTextModel(BUNDLED_MODEL)
  const draft = loadTextModel(path.join(BUNDLED_MODEL, '../shakespeare-draft'))
  assert.equal(draft.vocabularyDigest(), original.vocabularyDigest())
  assert.equal(loadTextModel(BUNDLED_MODEL, { chatTemplate: '{{ messages }}' }).vocabularyDigest(), original.vocabularyDigest())
  assert.notEqual(loadTextModel(temporaryCheckpoint(t, files())).vocabularyDigest(), original.vocabularyDigest())
})
