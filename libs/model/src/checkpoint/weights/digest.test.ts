import assert from 'node:assert/strict'
import { readFileSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { temporaryFolder, writeTinyCheckpoint } from '@rubato/testing'
import { loadCheckpoint } from '../load.ts'
import { weightsDigest } from './digest.ts'

/** Flips the last byte of a file; keeps its modification time when asked to. */
function flipLastByte(file: string, keepTime: boolean): void {
  const { atime, mtime } = statSync(file)
  const bytes = readFileSync(file)
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  writeFileSync(file, bytes)
  const later = new Date(mtime.getTime() + 5000)
  utimesSync(file, atime, keepTime ? mtime : later)
}

test('equal weights have equal digests wherever they lie; any other byte changes it', async (t) => {
  const digestOf = async (seed: number, sharded: boolean): Promise<string> =>
    weightsDigest(await loadCheckpoint(writeTinyCheckpoint(temporaryFolder(t), { seed, sharded })), null)
  const first = await digestOf(1, false)
  assert.match(first, /^[0-9a-f]{64}$/)
  assert.equal(await digestOf(1, false), first)
  assert.notEqual(await digestOf(2, false), first)
  assert.notEqual(await digestOf(1, true), first)
})

test('a cached digest is used until size or modification time change', async (t) => {
  const cacheDir = path.join(temporaryFolder(t), 'cache')
  const checkpoint = await loadCheckpoint(writeTinyCheckpoint(temporaryFolder(t), { sharded: true }))
  const [file = ''] = readdirSync(checkpoint.dir).filter((name) => name.endsWith('.safetensors'))
  const weights = path.join(checkpoint.dir, file)
  // Whole milliseconds, so that the time can be restored exactly.
  utimesSync(weights, new Date(1_700_000_000_000), new Date(1_700_000_000_000))
  const first = await weightsDigest(checkpoint, cacheDir)
  assert.equal(readdirSync(cacheDir).length, 2)
  assert.equal(first, await weightsDigest(checkpoint, null))
  flipLastByte(weights, true)
  assert.equal(await weightsDigest(checkpoint, cacheDir), first, 'the cache was not used')
  flipLastByte(weights, true)
  flipLastByte(weights, false)
  assert.notEqual(await weightsDigest(checkpoint, cacheDir), first)
})

test('a damaged cache entry is made anew', async (t) => {
  const cacheDir = temporaryFolder(t)
  const checkpoint = await loadCheckpoint(writeTinyCheckpoint(temporaryFolder(t)))
  const first = await weightsDigest(checkpoint, cacheDir)
  const [entry = ''] = readdirSync(cacheDir)
  writeFileSync(path.join(cacheDir, entry), 'half an ent')
  assert.equal(await weightsDigest(checkpoint, cacheDir), first)
  assert.match(readFileSync(path.join(cacheDir, entry), 'utf8'), /^[0-9a-f]{64}$/)
})
