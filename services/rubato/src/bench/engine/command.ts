// `rubato bench engine`: offline speed of one engine, without any serving around it.
import { writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { defaultCacheDir } from '@rubato/config/commands'
import { Command } from 'commander'
import { parseNonNegative, wholeNumber, wholeNumbers } from '../flag-values.ts'
import { measureColdCache, renderColdCache } from './cold-cache/measure-cold-cache.ts'
import { renderEngineReport } from './engine-report.ts'
import { blocksFor, engineReport, roomTokens } from './measure-engine.ts'
import type { MeasurePlan } from './measure-engine.ts'
import { BLOCK_SIZE, dtypeOf, modelLength, openBenchEngine } from './open-engine.ts'

interface Flags {
  readonly model: string
  readonly quantization?: string
  readonly json?: string
  readonly batches: readonly number[]
  readonly contexts?: readonly number[]
  readonly threads: number
  readonly repeats: number
  readonly temperature: number
  readonly cacheDir: string
  readonly coldCache?: boolean
  readonly pairs: number
  readonly seed: number
}

const say = (text: string): void => void process.stderr.write(`${text}\n`)

async function emit(value: unknown, text: string, file: string | undefined): Promise<void> {
  if (file !== undefined) await writeFile(file, `${JSON.stringify(value, null, 2)}\n`)
  process.stdout.write(`${text}\n`)
}

async function benchEngine(flags: Flags): Promise<void> {
  const dtype = dtypeOf(flags.quantization)
  const about = { model: flags.model, dtype, threads: flags.threads }
  const common = { modelDir: path.resolve(flags.model), dtype, threads: flags.threads, cacheDir: path.resolve(flags.cacheDir), onProgress: say }
  if (flags.coldCache === true) {
    const report = await measureColdCache({ ...common, batch: 16, pairs: flags.pairs, seed: flags.seed })
    await emit({ ...about, cold_cache: report }, renderColdCache(report), flags.json)
    if (report.exceeded) process.exitCode = 1
    return
  }
  const plan: MeasurePlan = { batches: flags.batches, contexts: flags.contexts ?? null, repeats: flags.repeats, temperature: flags.temperature, onProgress: say }
  const longest = Math.max(1024, ...(flags.contexts ?? []))
  const maxModelLen = await modelLength(common.modelDir, longest + roomTokens(flags.repeats))
  const bench = await openBenchEngine({ ...common, maxModelLen, numBlocks: blocksFor(plan, maxModelLen, BLOCK_SIZE) })
  try {
    const report = await engineReport(bench, plan, about)
    await emit(report, renderEngineReport(report), flags.json)
  } finally {
    await bench.engine.close()
  }
}

export function benchEngineCommand(): Command {
  return new Command('engine')
    .description('measure the speed of decode, verify and prefill offline')
    .requiredOption('--model <dir>', 'checkpoint directory')
    .option('--quantization <method>', 'int8: 8-bit weights')
    .option('--json <file>', 'write the report as JSON')
    .option('--batches <list>', 'decode and verify batch sizes', wholeNumbers('batches', 1), [1, 4, 16, 32])
    .option('--contexts <list>', 'tokens in KV per request (default: 512 alone, else spread over 64..1024)', wholeNumbers('contexts', 1))
    .option('--threads <n>', 'intra-op threads', wholeNumber('threads', 1), 1)
    .option('--repeats <n>', 'timed steps per figure (fewer past two seconds)', wholeNumber('repeats', 1), 40)
    .option('--temperature <t>', 'sampling temperature', (text) => parseNonNegative('temperature', text), 0)
    .option('--cache-dir <dir>', 'quantised weights and digests', defaultCacheDir(process.env, os.homedir()))
    .option('--cold-cache', 'compare decode with a full prefix cache against an empty one instead')
    .option('--pairs <n>', 'with --cold-cache: interleaved pairs', wholeNumber('pairs', 2), 40)
    .option('--seed <n>', 'with --cold-cache: seed of the history', wholeNumber('seed', 0), 1)
    .action((flags: Flags) => benchEngine(flags))
}
