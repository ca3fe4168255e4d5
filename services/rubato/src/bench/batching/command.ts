// `rubato bench batching`: the batching policies side by side under the load they differ most in. Clusters take turns, so
// that drift of the machine hits all of them alike.
import { writeFile } from 'node:fs/promises'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import type { BatchingName, ServeConfig } from '@rubato/config'
import { randomStream } from '@rubato/sim'
import type { CliContext } from '../../cli/context.ts'
import { readServeConfig } from '../../cli/serve/read-config.ts'
import { renderTable } from '../../cli/table.ts'
import { EmbeddedCluster } from '../../embedded/cluster.ts'
import { createLogger } from '../../logging.ts'
import { version } from '../../version.ts'
import { wholeNumber } from '../flag-values.ts'
import { median, percentile } from '../statistics.ts'
import { runStallWorkload } from './stall-workload.ts'
import type { StallResult, StallWorkload } from './stall-workload.ts'

const POLICIES: readonly BatchingName[] = ['tempo', 'sarathi', 'prefill-first', 'orca']

interface Flags {
  readonly streams: number
  readonly prompts: number
  readonly promptTokens: number
  readonly rounds: number
  readonly seed: number
  readonly json?: string
}

interface PolicyReport {
  readonly policy: BatchingName
  readonly p50_itl_ms: number
  readonly p99_itl_ms: number
  readonly max_itl_ms: number
  readonly median_prompt_ttft_ms: number
}

function reportOf(policy: BatchingName, results: readonly StallResult[]): PolicyReport {
  const itlMs = results.flatMap((result) => result.itlMs)
  // Per round first: a single bad moment of the machine must not decide a policy's tail.
  const p99 = median(results.map((result) => percentile(result.itlMs.toSorted((a, b) => a - b), 99) ?? 0))
  return { policy, p50_itl_ms: median(itlMs), p99_itl_ms: p99, max_itl_ms: Math.max(...itlMs), median_prompt_ttft_ms: median(results.flatMap((result) => result.promptTtftMs)) }
}

async function startCluster(config: ServeConfig): Promise<EmbeddedCluster> {
  const onFatal = (error: Error): void => {
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
  const cluster = await EmbeddedCluster.start({ config, log: createLogger('silent'), version, onProgress: () => {}, onFatal })
  while (!cluster.router.ready()) await delay(5)
  return cluster
}

function render(reports: readonly PolicyReport[]): string {
  const baseline = reports.find(({ policy }) => policy === 'prefill-first')
  const rows = reports.map((report) => {
    const figures = [report.p50_itl_ms, report.p99_itl_ms, report.max_itl_ms, report.median_prompt_ttft_ms].map((value) => value.toFixed(1))
    return [report.policy, ...figures, baseline === undefined ? '' : (report.p99_itl_ms / baseline.p99_itl_ms).toFixed(2)]
  })
  return renderTable(rows, { head: ['batching', 'P50 ITL ms', 'P99 ITL ms', 'max ITL ms', 'prompt TTFT ms', 'P99 vs prefill-first'] })
}

async function benchBatching(flags: Flags, config: ServeConfig): Promise<void> {
  const workload: StallWorkload = {
    numStreams: flags.streams, streamTokens: 160, numPrompts: flags.prompts, promptTokens: flags.promptTokens, promptOutputTokens: 2, fromRatio: 0.1, untilRatio: 0.8,
  }
  const clusters = new Map<BatchingName, EmbeddedCluster>()
  const results = new Map<BatchingName, StallResult[]>(POLICIES.map((policy) => [policy, []]))
  try {
    for (const policy of POLICIES) clusters.set(policy, await startCluster({ ...config, batching: policy, httpPort: 0, grpcPort: 0, enablePrefixCaching: false, maxNumBatchedTokens: 2048 }))
    for (let round = 0; round < flags.rounds; round++) {
      for (const [policy, cluster] of clusters) {
        process.stderr.write(`round ${round + 1}/${flags.rounds}: ${policy}\n`)
        results.get(policy)!.push(await runStallWorkload(cluster.router, workload, randomStream(flags.seed, `round ${round}`), `${policy}-${round}`))
      }
    }
  } finally {
    await Promise.all([...clusters.values()].map((cluster) => cluster.close(0)))
  }
  const reports = POLICIES.map((policy) => reportOf(policy, results.get(policy)!))
  if (flags.json !== undefined) await writeFile(flags.json, `${JSON.stringify({ workload, rounds: flags.rounds, reports }, null, 2)}\n`)
  process.stdout.write(`${render(reports)}\n`)
}

export function benchBatchingCommand(context: CliContext): Command {
  return new Command('batching')
    .description('Inter-token latency of decoding streams while long prompts arrive, for each batching policy in turn.')
    .argument('[MODEL]', 'checkpoint directory (default: the bundled target)')
    .option('--streams <N>', 'requests that decode throughout', wholeNumber('streams', 1), 8)
    .option('--prompts <N>', 'long prompts that arrive meanwhile', wholeNumber('prompts', 1), 12)
    .option('--prompt-tokens <N>', 'their length', wholeNumber('prompt-tokens', 1), 1024)
    .option('--rounds <N>', 'turns of each policy', wholeNumber('rounds', 1), 5)
    .option('--seed <N>', 'seed of the prompts', wholeNumber('seed', 0), 1)
    .option('--json <FILE>', 'write the report there')
    .action(async (model: string | undefined, flags: Flags) => {
      await benchBatching(flags, await readServeConfig(model === undefined ? {} : { model }, context))
    })
}
