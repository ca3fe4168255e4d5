// Opens an engine, replays the requests under every schedule, and compares.
import { loadCheckpoint } from '@rubato/model/checkpoint'
import { BLOCK_SIZE, CELL_TOKENS, modelLength, openBenchEngine } from '../engine/open-engine.ts'
import type { BenchEngineOptions } from '../engine/open-engine.ts'
import { comparePairs } from './compare.ts'
import { identityReport } from './identity-report.ts'
import type { IdentityReport } from './identity-report.ts'
import { identityRequests } from './identity-requests.ts'
import { blocksOf, runSchedules } from './schedules.ts'

export interface IdentityOptions extends Omit<BenchEngineOptions, 'numBlocks' | 'maxModelLen'> {
  /** As the report names it. */
  readonly model: string
  readonly numRequests: number
  readonly seed: number
}

const MAX_MODEL_LEN = 2048

export async function runIdentity(options: IdentityOptions): Promise<IdentityReport> {
  const { config } = await loadCheckpoint(options.modelDir)
  const maxModelLen = await modelLength(options.modelDir, MAX_MODEL_LEN)
  const requests = identityRequests(options.numRequests, options.seed, { vocabSize: config.vocabSize, cellTokens: CELL_TOKENS, maxModelLen })
  const numBlocks = requests.reduce((sum, request) => sum + blocksOf(request, BLOCK_SIZE), 0)
  // One per cent more, and one: what admission leaves to running sequences.
  const { engine } = await openBenchEngine({ ...options, maxModelLen, numBlocks: Math.ceil(numBlocks * 1.02) + 1 })
  try {
    const outcomes = await runSchedules({ engine, requests, seed: options.seed }, options.onProgress)
    const about = { model: options.model, dtype: options.dtype, threads: options.threads, seed: options.seed, requests: requests.length }
    return identityReport(about, outcomes, comparePairs(outcomes, requests, options.dtype))
  } finally {
    await engine.close()
  }
}
