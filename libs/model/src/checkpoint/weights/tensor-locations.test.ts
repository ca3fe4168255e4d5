import assert from 'node:assert/strict'
import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { frameHeader, temporaryFolder, writeTinyCheckpoint } from '@rubato/testing'
import { CheckpointError } from '@rubato/config'
import { loadCheckpoint } from '../load.ts'

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>

const DOWN_PROJ = 'model.layers.1.mlp.down_proj.weight'

/** Rewrites a file's header in place, data unchanged. */
function editHeader(file: string, edit: (header: Header) => void, frame: (header: Header) => Buffer = frameHeader): void {
  const bytes = readFileSync(file)
  const headerBytes = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Header
  edit(header)
  writeFileSync(file, Buffer.concat([frame(header), bytes.subarray(8 + headerBytes)]))
}

function editJson(file: string, edit: (content: Record<string, Record<string, unknown>>) => void): void {
  const content = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Record<string, unknown>>
  edit(content)
  writeFileSync(file, JSON.stringify(content))
}

async function assertRefused(dir: string, expected: { file: string; field: string; message: RegExp }): Promise<void> {
  await assert.rejects(loadCheckpoint(dir), (error) => {
    assert.ok(error instanceof CheckpointError, String(error))
    assert.equal(error.file, path.join(dir, expected.file), error.message)
    assert.equal(error.field, expected.field, error.message)
    assert.match(error.message, expected.message)
    return true
  })
}

test('a header that does not fit the architecture names file and tensor', async (t) => {
  const entry = (header: Header, name: string): Header[string] => header[name] ?? assert.fail(name)
  const cases: readonly (readonly [(header: Header) => void, string, RegExp])[] = [
    [(header) => delete header[DOWN_PROJ], DOWN_PROJ, /tensor is missing/],
    [(header) => entry(header, DOWN_PROJ).shape.reverse(), DOWN_PROJ, /shape is \[96, 64\], config.json asks for \[64, 96\]/],
    [(header) => (entry(header, DOWN_PROJ).shape = [64 * 96]), DOWN_PROJ, /shape is \[6144\]/],
    [(header) => (entry(header, DOWN_PROJ).shape = [64, 95]), DOWN_PROJ, /takes 24320 bytes but data_offsets spans 24576/],
    [(header) => (entry(header, DOWN_PROJ).dtype = 'I32'), DOWN_PROJ, /dtype I32 is not supported; supported are F32, F16 and BF16/],
    [(header) => (entry(header, DOWN_PROJ).dtype = 'F16'), DOWN_PROJ, /takes 12288 bytes/],
    [(header) => entry(header, DOWN_PROJ).data_offsets.reverse(), DOWN_PROJ, /backwards/],
    [(header) => (entry(header, DOWN_PROJ).data_offsets = [1e9, 1e9 + 24576]), DOWN_PROJ, /truncated/],
    [(header) => (entry(header, DOWN_PROJ).data_offsets = [0, -1]), DOWN_PROJ, /expected \[begin, end\]/],
    [(header) => (header['model.layers.0.self_attn.q_proj.bias'] = { dtype: 'F32', shape: [64], data_offsets: [0, 256] }), 'model.layers.0.self_attn.q_proj.bias', /no part of LlamaForCausalLM.*attention_bias/],
    [(header) => delete header['lm_head.weight'], 'lm_head.weight', /does not tie the head/],
  ]
  for (const [edit, tensor, message] of cases) {
    const dir = writeTinyCheckpoint(temporaryFolder(t))
    editHeader(path.join(dir, 'model.safetensors'), edit)
    await assertRefused(dir, { file: 'model.safetensors', field: tensor, message })
  }
})

test('weights that memory mapping cannot address are refused', async (t) => {
  const dir = writeTinyCheckpoint(temporaryFolder(t))
  const unpadded = (header: Header): Buffer => {
    const text = JSON.stringify(header)
    const odd = text + ' '.repeat(4 - (text.length % 4) + 1)
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(odd.length))
    return Buffer.concat([length, Buffer.from(odd)])
  }
  editHeader(path.join(dir, 'model.safetensors'), () => {}, unpadded)
  await assertRefused(dir, { file: 'model.safetensors', field: 'model.embed_tokens.weight', message: /not a multiple of 4.*save the file again/ })
})

test('a tied head and stored rotary frequencies are not taken for strangers', async (t) => {
  const dir = writeTinyCheckpoint(temporaryFolder(t), { configOverrides: { tie_word_embeddings: true } })
  editHeader(path.join(dir, 'model.safetensors'), (header) => {
    header['model.layers.0.self_attn.rotary_emb.inv_freq'] = { dtype: 'F32', shape: [8], data_offsets: [0, 32] }
  })
  const { tensors } = await loadCheckpoint(dir)
  assert.ok(!tensors.has('lm_head.weight') && !tensors.has('model.layers.0.self_attn.rotary_emb.inv_freq'))
})

test('files that are no safetensors are told apart', async (t) => {
  const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n'
  const framed = (text: string): Buffer => {
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(text.length))
    return Buffer.concat([length, Buffer.from(text)])
  }
  const cases: readonly (readonly [string | Buffer, string, RegExp])[] = [
    ['', 'header', /0 bytes: truncated/],
    [pointer, 'file', /Git LFS pointer/],
    ['not a safetensors file', 'header', /out of range/],
    [framed('{"a": '), 'header', /not valid JSON/],
    [framed('[1, 2]'), 'header', /not a JSON object/],
    [framed('{"model.norm.weight": 3}'), 'model.norm.weight', /not an object/],
    [framed('{"model.norm.weight": {"shape": [1], "data_offsets": [0, 0]}}'), 'model.norm.weight', /dtype is missing/],
    [framed('{"model.norm.weight": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 0]}}'), 'model.norm.weight', /shape is/],
    [framed('{}'), 'model.embed_tokens.weight', /tensor is missing/],
  ]
  for (const [content, field, message] of cases) {
    const dir = writeTinyCheckpoint(temporaryFolder(t))
    writeFileSync(path.join(dir, 'model.safetensors'), content)
    await assertRefused(dir, { file: 'model.safetensors', field, message })
  }
})

test('a file cut short anywhere is refused', async (t) => {
  const dir = writeTinyCheckpoint(temporaryFolder(t))
  const file = path.join(dir, 'model.safetensors')
  const size = readFileSync(file).length
  for (const [length, field] of [[size - 1, 'lm_head.weight'], [size - 160 * 64 * 4 - 1, 'model.norm.weight'], [100, 'header'], [7, 'header']] as const) {
    truncateSync(file, length)
    await assertRefused(dir, { file: 'model.safetensors', field, message: /truncated/ })
  }
})

test('an index that does not match its shards names both', async (t) => {
  const shard = 'model-00002-of-00002.safetensors'
  const index = 'model.safetensors.index.json'
  const sharded = (): string => writeTinyCheckpoint(temporaryFolder(t), { sharded: true })

  const lost = sharded()
  rmSync(path.join(lost, shard))
  await assertRefused(lost, { file: index, field: 'weight_map', message: /model-00002-of-00002.safetensors, which is not in the directory/ })

  const moved = sharded()
  editHeader(path.join(moved, shard), (header) => delete header['lm_head.weight'])
  await assertRefused(moved, { file: shard, field: 'lm_head.weight', message: /missing, although .*index.json places it here/ })

  const unlisted = sharded()
  editJson(path.join(unlisted, index), (content) => delete content['weight_map']?.['model.norm.weight'])
  await assertRefused(unlisted, { file: index, field: 'model.norm.weight', message: /tensor is missing/ })

  const escaping = sharded()
  editJson(path.join(escaping, index), (content) => Object.assign(content['weight_map'] ?? {}, { 'model.norm.weight': '../other.safetensors' }))
  await assertRefused(escaping, { file: index, field: 'weight_map.model.norm.weight', message: /file name in this directory/ })

  const hollow = sharded()
  writeFileSync(path.join(hollow, index), '{}')
  await assertRefused(hollow, { file: index, field: 'weight_map', message: /missing/ })
})

test('other formats are named, with what is supported', async (t) => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['model-q4_k_m.gguf', /GGUF files are not supported; supported are model.safetensors/],
    ['pytorch_model.bin', /pickle.*supported are model.safetensors/],
    ['pytorch_model.bin.index.json', /pickle/],
    ['adapter_model.safetensors', /adapter/],
    ['consolidated.safetensors', /Mistral's own layout/],
  ]
  for (const [name, message] of cases) {
    const dir = writeTinyCheckpoint(temporaryFolder(t))
    renameSync(path.join(dir, 'model.safetensors'), path.join(dir, name))
    await assertRefused(dir, { file: name, field: 'weights', message })
    rmSync(path.join(dir, 'config.json'))
    await assertRefused(dir, { file: name, field: 'weights', message })
  }
})

test('a path that is no checkpoint directory is refused', async (t) => {
  const dir = temporaryFolder(t)
  await assertRefused(dir, { file: '', field: 'weights', message: /no weights found/ })
  await assertRefused(path.join(dir, 'absent'), { file: '', field: 'directory', message: /cannot be read/ })
  const gguf = path.join(dir, 'model.gguf')
  writeFileSync(gguf, 'GGUF')
  await assertRefused(gguf, { file: '', field: 'weights', message: /GGUF/ })
  const noConfig = writeTinyCheckpoint(path.join(dir, 'no-config'))
  rmSync(path.join(noConfig, 'config.json'))
  await assertRefused(noConfig, { file: 'config.json', field: 'file', message: /is missing/ })
  writeFileSync(path.join(noConfig, 'config.json'), '{"architectures":')
  await assertRefused(noConfig, { file: 'config.json', field: 'file', message: /not valid JSON/ })
})
