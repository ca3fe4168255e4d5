import { CheckpointError } from '@rubato/config'
import assert from 'node:assert/strict'
import test from 'node:test'
import { FIRST_BYTE_TOKEN, FIRST_PIECE, sentencePieceTokenizer } from './fixtures/sentencepiece.ts'
import { BUNDLED_MODEL } from './fixtures/temporary-checkpoint.ts'
import { loadTextModel } from './text-model.ts'
import { parseDecodeRule, TokenTable } from './token-bytes.ts'

function tableOf(decoder: unknown, tokens: readonly string[], specialIds: readonly number[] = []): TokenTable {
  const addedTokens = specialIds.map((id) => ({ id, special: true }))
  return new TokenTable({ numTokens: tokens.length, contentOf: (id) => tokens[id], addedTokens, rule: parseDecodeRule('tokenizer.json', decoder) })
}

test('byte-level vocabularies cover every byte once', () => {
  const { tokens } = loadTextModel(BUNDLED_MODEL)
  const single = new Set<number>()
  for (let id = 0; id < tokens.numTokens; id++) {
    const bytes = tokens.bytesOf(id)
    if (bytes.length === 1) single.add(bytes[0] as number)
    assert.ok(bytes.length > 0, `token ${id}`)
  }
  assert.equal(single.size, 256)
})

test('bytes of an encoding are the bytes of the text', () => {
  const model = loadTextModel(BUNDLED_MODEL)
  const text = 'To be, or not — “être” 👑\n'
  const bytes = Buffer.concat(model.encode(text, false).map((id) => model.tokens.bytesOf(id)))
  assert.deepEqual(bytes, Buffer.from(text, 'utf8'))
})

test('byte-level characters map through the GPT-2 alphabet, added tokens do not', () => {
  const table = tableOf({ type: 'ByteLevel' }, ['Ġé', 'é', 'Ċ', '日'], [1])
  assert.deepEqual([...table.bytesOf(0)], [0x20, 0xe9])
  assert.equal(table.textOf(0), null)
  assert.equal(table.textOf(1), 'é')
  assert.equal(table.textOf(2), '\n')
  assert.equal(table.textOf(3), '日')
  assert.deepEqual([0, 1].map((id) => table.isSpecial(id)), [false, true])
})

test('SentencePiece vocabularies replace the word mark and know byte tokens', () => {
  const tokenizer = sentencePieceTokenizer()
  const vocab = Object.keys((tokenizer['model'] as { vocab: Record<string, number> }).vocab)
  const table = tableOf(tokenizer['decoder'], vocab, [0, 1, 2])
  assert.deepEqual([...table.bytesOf(FIRST_BYTE_TOKEN + 0xab)], [0xab])
  assert.equal(table.textOf(FIRST_BYTE_TOKEN + 0x41), 'A')
  assert.equal(table.textOf(FIRST_BYTE_TOKEN + 0xab), null)
  assert.equal(table.textOf(FIRST_PIECE), ' ')
  assert.equal(table.textOf(vocab.indexOf('▁hello')), ' hello')
  assert.equal(table.stripAtStart, 1)
})

test('byte tokens are plain text for decoders without byte fallback', () => {
  assert.equal(tableOf({ type: 'Metaspace' }, ['<0x41>']).textOf(0), '<0x41>')
})

test('Metaspace decoders strip the first space unless they never add one', () => {
  assert.equal(tableOf({ type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' }, ['▁a']).stripAtStart, 1)
  assert.equal(tableOf({ type: 'Metaspace', replacement: '▁', prepend_scheme: 'never' }, ['▁a']).stripAtStart, 0)
})

test('ids outside the vocabulary have no bytes and no text', () => {
  const table = tableOf({ type: 'ByteLevel' }, ['a'])
  for (const id of [1, 50_000]) {
    assert.equal(table.bytesOf(id).length, 0)
    assert.equal(table.textOf(id), '')
    assert.equal(table.isSpecial(id), false)
  }
})

test('refuses decoders that do not work token by token', () => {
  const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 }
  const decoders: readonly unknown[] = [
    { type: 'CTC' },
    { type: 'BPEDecoder', suffix: '</w>' },
    { type: 'Replace', pattern: { Regex: '\\s' }, content: '' },
    strip,
    { type: 'Sequence', decoders: [{ type: 'Fuse' }, { ...strip, stop: 1 }] },
    { type: 'Sequence', decoders: [{ type: 'Fuse' }, { type: 'Replace', pattern: { String: 'ab' }, content: 'c' }] },
  ]
  for (const decoder of decoders) assert.throws(() => parseDecodeRule('tokenizer.json', decoder), (error) => error instanceof CheckpointError && error.field === 'decoder')
})
