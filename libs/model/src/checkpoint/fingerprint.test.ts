import assert from 'node:assert/strict'
import { test } from 'node:test'
import { temporaryFolder, writeTinyCheckpoint } from '@rubato/testing'
import { modelFingerprint } from './fingerprint.ts'
import type { FingerprintInput } from './fingerprint.ts'
import { loadCheckpoint } from './load.ts'

async function sampleInput(dir: string): Promise<FingerprintInput> {
  const { config } = await loadCheckpoint(writeTinyCheckpoint(dir))
  return {
    config,
    weightsDigest: 'aa',
    tokenizerDigest: 'bb',
    templateDigest: null,
    dtype: 'float32',
    blockSize: 64,
    cellTokens: 128,
    graphVersion: '1',
    provider: 'cpu',
    kernelClass: 'avx512',
  }
}

test('every part of the input changes the fingerprint', async (t) => {
  const input = await sampleInput(temporaryFolder(t))
  const changes: readonly Partial<FingerprintInput>[] = [
    { config: { ...input.config, ropeTheta: 20000 } },
    { config: { ...input.config, ropeScaling: { kind: 'linear', factor: 2 } } },
    { config: { ...input.config, eosTokenIds: [0, 1] } },
    { weightsDigest: 'ab' },
    { tokenizerDigest: 'ba' },
    { templateDigest: 'cc' },
    { dtype: 'int8' },
    { blockSize: 32 },
    { cellTokens: 256 },
    { graphVersion: '2' },
    { provider: 'cuda' },
    { kernelClass: 'avx2' },
  ]
  const prints = [input, ...changes.map((change) => ({ ...input, ...change }))].map(modelFingerprint)
  assert.ok(prints.every((print) => /^[0-9a-f]{64}$/.test(print)))
  assert.equal(new Set(prints).size, prints.length)
})

test('the order of keys does not matter, at any depth', async (t) => {
  const input = await sampleInput(temporaryFolder(t))
  const reversed = <T extends object>(value: T): T => Object.fromEntries(Object.entries(value).toReversed()) as T
  assert.equal(modelFingerprint(reversed({ ...input, config: reversed(input.config) })), modelFingerprint(input))
})
