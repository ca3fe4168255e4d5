// Reads the header of a .safetensors file: 8 bytes of little-endian length, JSON, then the data. Weights are never read.
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { CheckpointError } from '@rubato/config'
import { isRecord } from '../config/json-fields.ts'

/** One tensor as its header describes it; bounds and size are checked, the dtype may be one that we cannot serve. */
export interface StoredTensor {
  /** As spelled in the file: F32, F16, BF16, I8... */
  readonly dtype: string
  readonly shape: readonly number[]
  /** Absolute byte offset within the file. */
  readonly offsetBytes: number
  readonly sizeBytes: number
}

export interface SafetensorsHeader {
  readonly file: string
  /** Of the whole file. */
  readonly sizeBytes: number
  readonly tensors: ReadonlyMap<string, StoredTensor>
}

const LENGTH_BYTES = 8
/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000
const ELEMENT_BYTES: ReadonlyMap<string, number> = new Map([
  ['F64', 8], ['I64', 8], ['U64', 8], ['C64', 8],
  ['F32', 4], ['I32', 4], ['U32', 4],
  ['F16', 2], ['BF16', 2], ['I16', 2], ['U16', 2],
  ['I8', 1], ['U8', 1], ['BOOL', 1], ['F8_E4M3', 1], ['F8_E5M2', 1], ['F8_E8M0', 1], ['F8_E4M3FNUZ', 1], ['F8_E5M2FNUZ', 1],
])

/** Reads and checks a header with two small reads. Throws CheckpointError naming the file and, where it applies, the tensor. */
export async function readSafetensorsHeader(file: string): Promise<SafetensorsHeader> {
  const handle = await openWeights(file)
  try {
    const status = await handle.stat()
    if (!status.isFile()) throw new CheckpointError(file, 'file', 'is not a regular file')
    const sizeBytes = status.size
    const headerBytes = await readHeaderLength(handle, file, sizeBytes)
    const header = parseHeader(file, await readExactly(handle, file, LENGTH_BYTES, headerBytes))
    const dataStart = LENGTH_BYTES + headerBytes
    const tensors = new Map<string, StoredTensor>()
    for (const [name, entry] of Object.entries(header)) {
      if (name !== '__metadata__') tensors.set(name, parseEntry({ file, name, dataStart, sizeBytes }, entry))
    }
    return { file, sizeBytes, tensors }
  } finally {
    await handle.close()
  }
}

async function openWeights(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'r')
  } catch (cause) {
    throw new CheckpointError(file, 'file', `cannot be opened: ${(cause as Error).message}`, { cause })
  }
}

async function readHeaderLength(handle: FileHandle, file: string, sizeBytes: number): Promise<number> {
  if (sizeBytes < LENGTH_BYTES) throw new CheckpointError(file, 'header', `file holds ${sizeBytes} bytes: truncated, or not safetensors`)
  const prefix = await readExactly(handle, file, 0, LENGTH_BYTES)
  if (prefix.toString('latin1') === 'version ') throw new CheckpointError(file, 'file', 'is a Git LFS pointer, not the weights; run `git lfs pull` in the checkpoint')
  const length = prefix.readBigUInt64LE(0)
  if (length > BigInt(MAX_HEADER_BYTES) || length < 2n) throw new CheckpointError(file, 'header', `length ${length} is out of range: not a safetensors file`)
  if (Number(length) > sizeBytes - LENGTH_BYTES) throw new CheckpointError(file, 'header', `needs ${length} bytes but the file holds ${sizeBytes}: truncated, or not safetensors`)
  return Number(length)
}

async function readExactly(handle: FileHandle, file: string, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await handle.read(buffer, done, length - done, position + done)
    if (bytesRead === 0) throw new CheckpointError(file, 'header', 'file ended while being read')
    done += bytesRead
  }
  return buffer
}

function parseHeader(file: string, bytes: Buffer): Record<string, unknown> {
  let parsed: unknown
  try {
    parsed = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new CheckpointError(file, 'header', `is not valid JSON: ${(cause as Error).message}`, { cause })
  }
  if (!isRecord(parsed)) throw new CheckpointError(file, 'header', 'is not a JSON object')
  return parsed
}

interface EntryPlace {
  readonly file: string
  readonly name: string
  readonly dataStart: number
  readonly sizeBytes: number
}

function parseEntry(place: EntryPlace, entry: unknown): StoredTensor {
  const fail = (message: string): CheckpointError => new CheckpointError(place.file, place.name, message)
  if (!isRecord(entry)) throw fail('header entry is not an object')
  const { dtype, shape, data_offsets: offsets } = entry
  if (typeof dtype !== 'string') throw fail('dtype is missing')
  if (!isSizes(shape)) throw fail(`shape is ${JSON.stringify(shape)}, expected a list of sizes`)
  if (!isSizes(offsets) || offsets.length !== 2) throw fail(`data_offsets is ${JSON.stringify(offsets)}, expected [begin, end]`)
  const [begin = 0, end = 0] = offsets
  const sizeBytes = end - begin
  if (sizeBytes < 0) throw fail(`data_offsets [${begin}, ${end}] runs backwards`)
  const needed = place.dataStart + end
  if (needed > place.sizeBytes) throw fail(`needs the file to hold ${needed} bytes but it holds ${place.sizeBytes}: truncated`)
  const elementBytes = ELEMENT_BYTES.get(dtype)
  const expected = elementBytes === undefined ? sizeBytes : elementBytes * shape.reduce((product, size) => product * size, 1)
  if (expected !== sizeBytes) throw fail(`${dtype} [${shape.join(', ')}] takes ${expected} bytes but data_offsets spans ${sizeBytes}`)
  return { dtype, shape, offsetBytes: place.dataStart + begin, sizeBytes }
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0)
}
