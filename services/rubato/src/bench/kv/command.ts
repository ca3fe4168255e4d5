// `rubato bench kv`: how fast KV blocks travel between two processes, and from which context on that pays.
import { writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { defaultCacheDir } from '@rubato/config/commands'
import type { Engine } from '@rubato/model'
import { loadOrMeasureProfile } from '@rubato/model/engine'
import { Command } from 'commander'
import type { CliContext } from '../../cli/context.ts'
import { BLOCK_SIZE, modelLength, openBenchEngine } from '../engine/open-engine.ts'
import { wholeNumber, wholeNumbers } from '../flag-values.ts'
import { median } from '../statistics.ts'
import { breakEven } from './break-even.ts'
import { compareControls, renderComparison } from './emulated/compare-controls.ts'
import { handOffCost, isTooSlow, kvReport, renderKvReport } from './kv-report.ts'
import { measureTransfers } from './measure-transfers.ts'

interface Flags {
  readonly model?: string
  readonly json?: string
  readonly blockCounts: readonly number[]
  readonly repeats: number
  /** Links in virtual time instead of this machine's. */
  readonly emulated?: boolean
  readonly threads: number
  readonly profile: string
  readonly cacheDir: string
}

const PROFILE_BUDGET_MS = 10_000
/** Contexts of the break-even table, as far as the model goes. */
const CONTEXTS: readonly number[] = [64, 128, 256, 512, 1024, 1536, 2048, 4096, 8192, 16_384]
const MAX_MODEL_LEN = 16_384
const MAX_NUM_SEQS = 8
const ENGINE_REPEATS = 7
const EMULATION_SEED = 1

const say = (text: string): void => void process.stderr.write(`${text}\n`)

/** Milliseconds that a block takes to be read out of an engine and written into one. */
async function engineMsPerBlock(engine: Engine): Promise<number> {
  const numBlocks = Math.min(16, engine.shape.numBlocks)
  const blockIds = Array.from({ length: numBlocks }, (_, index) => index)
  const timesMs: number[] = []
  for (let round = 0; round <= ENGINE_REPEATS; round++) {
    const startedMs = performance.now()
    const result = await engine.execute({ kind: 'export-blocks', blockIds })
    if (result.kind === 'export-blocks') await engine.execute({ kind: 'install-blocks', blockIds, bytes: result.bytes })
    if (round > 0) timesMs.push(performance.now() - startedMs)
  }
  return median(timesMs) / numBlocks
}

async function benchKv(flags: Flags, modelDir: string): Promise<void> {
  if (flags.emulated === true) {
    const rows = compareControls(EMULATION_SEED)
    if (flags.json !== undefined) await writeFile(flags.json, `${JSON.stringify(rows, null, 2)}\n`)
    return void process.stdout.write(`${renderComparison(rows)}\n`)
  }
  const maxModelLen = await modelLength(modelDir, MAX_MODEL_LEN)
  const numBlocks = MAX_NUM_SEQS * Math.ceil(maxModelLen / BLOCK_SIZE)
  const { engine } = await openBenchEngine({ modelDir, dtype: 'float32', threads: flags.threads, cacheDir: flags.cacheDir, maxModelLen, numBlocks, onProgress: say })
  try {
    const profile = await loadOrMeasureProfile({ engine, mode: flags.profile, budgetMs: PROFILE_BUDGET_MS, cacheDir: flags.cacheDir, threads: flags.threads, maxNumSeqs: MAX_NUM_SEQS })
    const { blockBytes, cellTokens, blockSize } = engine.shape
    const transfers = await measureTransfers({ blockBytes, blockCounts: flags.blockCounts, repeats: flags.repeats, onProgress: say })
    const handOff = handOffCost(transfers, await engineMsPerBlock(engine))
    const breakEvens = CONTEXTS.filter((context) => context <= maxModelLen).map((context) => breakEven(profile.model, { blockSize, cellTokens, blockBytes }, handOff, context))
    const report = kvReport({ model: modelDir, blockBytes, blockSize, repeats: flags.repeats, transfers, handOff, breakEvens })
    if (flags.json !== undefined) await writeFile(flags.json, `${JSON.stringify(report, null, 2)}\n`)
    process.stdout.write(`${renderKvReport(report)}\n`)
    if (isTooSlow(transfers)) process.exitCode = 1
  } finally {
    await engine.close()
  }
}

export function benchKvCommand({ repoRoot, env }: CliContext): Command {
  return new Command('kv')
    .description('KV transfers between two processes on loopback: MB/s against a plain TCP copy, cost of a hand-off, break-even against recompute')
    .option('--model <dir>', 'checkpoint directory (default: the bundled target)')
    .option('--block-counts <list>', 'blocks per transfer', wholeNumbers('block-counts', 1), [1, 4, 16, 64, 256])
    .option('--repeats <n>', 'interleaved rounds per block count', wholeNumber('repeats', 1), 40)
    .option('--emulated', 'compare ways to use a network link, in virtual time, instead of measuring this machine')
    .option('--threads <n>', 'intra-op threads of the engine', wholeNumber('threads', 1), 1)
    .option('--profile <mode>', 'auto, refresh, or a profile file: where prefill times come from', 'auto')
    .option('--cache-dir <dir>', 'profiles and digests', defaultCacheDir(env, os.homedir()))
    .option('--json <file>', 'write the report as JSON')
    .action((flags: Flags) => benchKv({ ...flags, cacheDir: path.resolve(flags.cacheDir) }, flags.model === undefined ? path.join(repoRoot, 'models', 'shakespeare-target') : path.resolve(flags.model)))
}
