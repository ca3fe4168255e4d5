import { Tokenizer } from '@huggingface/tokenizers'
import { seededRandom, testSeed } from '@rubato/testing'
import type { SeededRandom } from '@rubato/testing'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import type { Detokenizer } from './detokenizer.ts'
import { FIRST_BYTE_TOKEN, FIRST_PIECE, sentencePieceConfig, sentencePieceTokenizer } from './fixtures/sentencepiece.ts'
import { BUNDLED_MODEL, temporaryCheckpoint } from './fixtures/temporary-checkpoint.ts'
import { loadTextModel } from './text-model.ts'
import type { TextModel } from './text-model.ts'

const bundled = loadTextModel(BUNDLED_MODEL)
const NUM_CASES = 400
/** Snippets whose tokens make random sequences meet complete, split and broken characters. */
const SNIPPETS = [' the', 'é', '日本', '👩‍👧', '\uFEFF', '\n', ' ', '𝄞', '߿', '퟿', '￿']

function oneShot(model: TextModel, ids: readonly number[], skipSpecialTokens = true): string {
  const kept = ids.filter((id) => !skipSpecialTokens || !model.tokens.isSpecial(id))
  const bytes = Buffer.concat(kept.map((id) => model.tokens.bytesOf(id)))
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  return model.tokens.stripAtStart === 1 && text.startsWith(' ') ? text.slice(1) : text
}

function randomIds(model: TextModel, random: SeededRandom): number[] {
  const ids: number[] = []
  for (let left = random.int(24); left > 0; left--) {
    const draw = random.int(3)
    const snippet = model.encode(random.pick(SNIPPETS), false)
    if (draw === 0) ids.push(random.int(model.tokens.numTokens))
    else if (draw === 1) ids.push(...snippet)
    else ids.push(...snippet.slice(0, random.int(snippet.length + 1)))
  }
  return ids
}

function pushInPieces(detokenizer: Detokenizer, ids: readonly number[], random: SeededRandom): string[] {
  const pieces: string[] = []
  for (let at = 0; at < ids.length;) {
    const count = 1 + random.int(4)
    pieces.push(detokenizer.push(ids.slice(at, at + count)))
    at += count
  }
  return [...pieces, detokenizer.flush()]
}

function sentencePiece(context: test.TestContext): TextModel {
  return loadTextModel(temporaryCheckpoint(context, { 'tokenizer.json': sentencePieceTokenizer(), 'tokenizer_config.json': sentencePieceConfig() }))
}

test('pushes and flush add up to the one-shot decoding, whatever the split', (context) => {
  const seed = testSeed(20_261)
  const random = seededRandom(seed)
  for (const model of [bundled, sentencePiece(context)]) {
    for (let run = 0; run < NUM_CASES; run++) {
      const ids = randomIds(model, random)
      const skipSpecialTokens = random.int(2) === 0
      const text = pushInPieces(model.detokenizer({ skipSpecialTokens }), ids, random).join('')
      assert.equal(text, oneShot(model, ids, skipSpecialTokens), `seed ${seed}, run ${run}, ids ${ids.join(' ')}`)
      assert.equal(model.decode(ids, { skipSpecialTokens }), text)
    }
  }
})

test('output after a prompt is the rest of the one-shot decoding', (context) => {
  const seed = testSeed(20_262)
  const random = seededRandom(seed)
  for (const model of [bundled, sentencePiece(context)]) {
    for (let run = 0; run < NUM_CASES; run++) {
      const prompt = random.int(4) === 0 ? [0, 1].slice(0, random.int(3)) : randomIds(model, random)
      const before = oneShot(model, prompt)
      if (before.endsWith('\uFFFD')) continue
      const ids = randomIds(model, random)
      const text = pushInPieces(model.detokenizer({ precedingTokens: prompt }), ids, random).join('')
      assert.equal(before + text, oneShot(model, [...prompt, ...ids]), `seed ${seed}, run ${run}, prompt ${prompt.join(' ')}, ids ${ids.join(' ')}`)
    }
  }
})

test('agrees with the tokenizer library on whole texts', (context) => {
  const seed = testSeed(20_263)
  const random = seededRandom(seed)
  const json = (name: string): unknown => JSON.parse(readFileSync(path.join(BUNDLED_MODEL, name), 'utf8'))
  const pairs = [
    { model: bundled, library: new Tokenizer(json('tokenizer.json') as object, json('tokenizer_config.json') as object) },
    { model: sentencePiece(context), library: new Tokenizer(sentencePieceTokenizer(), sentencePieceConfig()) },
  ]
  for (const { model, library } of pairs) {
    for (let run = 0; run < NUM_CASES; run++) {
      const text = Array.from({ length: 1 + random.int(8) }, () => random.pick(SNIPPETS.filter((snippet) => snippet !== '\uFEFF'))).join('')
      const ids = model.encode(text, true)
      const expected = library.decode(ids, { skip_special_tokens: true }) as string
      assert.equal(pushInPieces(model.detokenizer(), ids, random).join(''), expected, `seed ${seed}, run ${run}`)
    }
  }
})

test('emits a split character only when it is complete', (context) => {
  const model = sentencePiece(context)
  const detokenizer = model.detokenizer()
  const emitted = [...Buffer.from('👋é', 'utf8')].map((byte) => detokenizer.push([FIRST_BYTE_TOKEN + byte]))
  assert.deepEqual(emitted, ['', '', '', '👋', '', 'é'])
  assert.equal(detokenizer.flush(), '')
})

test('replaces bytes once they can no longer become valid', (context) => {
  const model = sentencePiece(context)
  const pushBytes = (bytes: readonly number[]) => {
    const detokenizer = model.detokenizer()
    return [...bytes.map((byte) => detokenizer.push([FIRST_BYTE_TOKEN + byte])), detokenizer.flush()]
  }
  assert.deepEqual(pushBytes([0xff, 0x41]), ['\uFFFD', 'A', ''])
  assert.deepEqual(pushBytes([0xe4, 0xbd, 0x41]), ['', '', '\uFFFDA', ''])
  assert.deepEqual(pushBytes([0xf0, 0x80, 0x80]), ['', '\uFFFD\uFFFD', '\uFFFD', ''])
  assert.deepEqual(pushBytes([0xed, 0xa0]), ['', '\uFFFD\uFFFD', ''])
  assert.deepEqual(pushBytes([0xf4, 0x90]), ['', '\uFFFD\uFFFD', ''])
  assert.deepEqual(pushBytes([0xc3, 0xc3, 0xa9]), ['', '\uFFFD', 'é', ''])
  assert.deepEqual(pushBytes([0xf0, 0x9f, 0x91]), ['', '', '', '\uFFFD'])
})

test('strips one leading space at the start of a text, none after a prompt', (context) => {
  const model = sentencePiece(context)
  const hello = model.encode('hello', false)
  const spaces = FIRST_PIECE + 24
  assert.equal(model.detokenizer().push(hello), 'hello')
  assert.equal(model.detokenizer().push([spaces]), ' ')
  assert.equal(model.detokenizer({ precedingTokens: hello }).push(hello), ' hello')
  assert.equal(model.detokenizer({ precedingTokens: [1] }).push(hello), 'hello')
  assert.equal(model.detokenizer({ precedingTokens: [1], skipSpecialTokens: false }).push(hello), ' hello')
})

test('completes a character that the prompt left open, and never replays the prompt', (context) => {
  const model = sentencePiece(context)
  const [first = 0, ...rest] = [...Buffer.from('€', 'utf8')].map((byte) => FIRST_BYTE_TOKEN + byte)
  const after = () => model.detokenizer({ precedingTokens: [FIRST_PIECE + 1, first] })
  assert.equal(after().push(rest), '€')
  assert.equal(after().push([FIRST_PIECE + 1]), 'a')
  assert.equal(after().flush(), '')
})
