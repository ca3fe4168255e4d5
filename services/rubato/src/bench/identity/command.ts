// `rubato bench identity`: the same requests under different schedules must give the same tokens.
import { writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { defaultCacheDir } from '@rubato/config/commands'
import { Command } from 'commander'
import { dtypeOf } from '../engine/open-engine.ts'
import { wholeNumber } from '../flag-values.ts'
import { renderIdentityReport } from './identity-report.ts'
import { runIdentity } from './run-identity.ts'

interface Flags {
  readonly model: string
  readonly quantization?: string
  readonly json?: string
  readonly requests: number
  readonly seed: number
  readonly threads: number
  readonly cacheDir: string
  readonly draft?: string
}

async function benchIdentity(flags: Flags): Promise<void> {
  const report = await runIdentity({
    model: flags.model,
    modelDir: path.resolve(flags.model),
    dtype: dtypeOf(flags.quantization),
    threads: flags.threads,
    cacheDir: path.resolve(flags.cacheDir),
    numRequests: flags.requests,
    draft: flags.draft === undefined ? null : path.resolve(flags.draft),
    seed: flags.seed,
    onProgress: (text) => void process.stderr.write(`${text}\n`),
  })
  if (flags.json !== undefined) await writeFile(flags.json, `${JSON.stringify(report, null, 2)}\n`)
  process.stdout.write(`${renderIdentityReport(report)}\n`)
  if (report.violations > 0) process.exitCode = 1
}

/** Exit code 1 when a pair of schedules breaks its identity rule. */
export function benchIdentityCommand(): Command {
  return new Command('identity')
    .description('replay requests under different schedules and compare their tokens')
    .requiredOption('--model <dir>', 'checkpoint directory')
    .option('--quantization <method>', 'int8: 8-bit weights')
    .option('--draft <dir>', 'draft model: schedules with drafts run as well')
    .option('--json <file>', 'write the report as JSON')
    .option('--requests <n>', 'requests to replay', wholeNumber('requests', 1), 16)
    .option('--seed <n>', 'seed of the requests', wholeNumber('seed', 0), 1)
    .option('--threads <n>', 'intra-op threads', wholeNumber('threads', 1), 1)
    .option('--cache-dir <dir>', 'quantised weights and digests', defaultCacheDir(process.env, os.homedir()))
    .action((flags: Flags) => benchIdentity(flags))
}
