// Content digests of weight files. Hashing gigabytes takes seconds, so each file's digest is cached on disk.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { CheckpointError } from '@rubato/config'
import type { Checkpoint } from '../checkpoint.ts'

const READ_BYTES = 1 << 20
const SHA256_HEX = /^[0-9a-f]{64}$/

interface FileStamp {
  readonly file: string
  readonly sizeBytes: bigint
  readonly modifiedNs: bigint
}

/** sha256 (hex) of a whole file, streamed. */
async function fileDigest(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const part of createReadStream(file, { highWaterMark: READ_BYTES })) hash.update(part as Buffer)
  return hash.digest('hex')
}

/**
 * sha256 (hex) over name, size and content (header included) of every weight file: equal for equal files wherever they lie.
 * Per-file digests are cached in `cacheDir` under (path, size, modification time); null hashes anew each time.
 */
export async function weightsDigest(checkpoint: Checkpoint, cacheDir: string | null): Promise<string> {
  const files = [...new Set([...checkpoint.tensors.values()].map((tensor) => tensor.file))].toSorted()
  const combined = createHash('sha256')
  for (const file of files) {
    const stamp = await stampOf(file)
    const content = cacheDir === null ? await digestStable(stamp) : await cachedDigest(stamp, cacheDir)
    combined.update(JSON.stringify([path.basename(file), stamp.sizeBytes.toString(), content]))
  }
  return combined.digest('hex')
}

async function cachedDigest(stamp: FileStamp, cacheDir: string): Promise<string> {
  const key = createHash('sha256').update(JSON.stringify([stamp.file, String(stamp.sizeBytes), String(stamp.modifiedNs)])).digest('hex')
  const entry = path.join(cacheDir, `weights-${key}.sha256`)
  const known = await readEntry(entry)
  if (known !== null) return known
  const content = await digestStable(stamp)
  await mkdir(cacheDir, { recursive: true })
  // Written aside and renamed, so that processes starting together never see half an entry.
  const draft = `${entry}.${process.pid}.${process.hrtime.bigint()}`
  await writeFile(draft, content)
  await rename(draft, entry)
  return content
}

/** A cached digest; null when there is none or it is damaged. */
async function readEntry(entry: string): Promise<string | null> {
  const text = await readFile(entry, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return ''
    throw cause
  })
  return SHA256_HEX.test(text) ? text : null
}

async function digestStable(stamp: FileStamp): Promise<string> {
  const content = await fileDigest(stamp.file)
  const after = await stampOf(stamp.file)
  if (after.sizeBytes !== stamp.sizeBytes || after.modifiedNs !== stamp.modifiedNs)
    throw new CheckpointError(stamp.file, 'file', 'changed while it was being read; start again once it is complete')
  return content
}

async function stampOf(file: string): Promise<FileStamp> {
  const { size, mtimeNs } = await stat(file, { bigint: true })
  return { file, sizeBytes: size, modifiedNs: mtimeNs }
}
