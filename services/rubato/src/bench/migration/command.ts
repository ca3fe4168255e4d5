// `rubato bench migration`: downtime of moved requests by context length, live against stop-and-copy and recompute.
import { writeFile } from 'node:fs/promises'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import type { ServeConfig } from '@rubato/config'
import { randomStream } from '@rubato/sim'
import type { CliContext } from '../../cli/context.ts'
import { readServeConfig } from '../../cli/serve/read-config.ts'
import { renderTable } from '../../cli/table.ts'
import { EmbeddedCluster } from '../../embedded/cluster.ts'
import { createLogger } from '../../logging.ts'
import { version } from '../../version.ts'
import { wholeNumber, wholeNumbers } from '../flag-values.ts'
import { median, percentile } from '../statistics.ts'
import { handOf } from './hand.ts'
import { keepBusy, measureMove } from './measure-downtime.ts'
import type { MoveMode, MoveRun } from './measure-downtime.ts'

interface Flags {
  readonly contexts: readonly number[]
  readonly rounds: number
  readonly neighbours: number
  readonly seed: number
  readonly json?: string
}

interface ContextReport {
  readonly context_tokens: number
  readonly moves: number
  readonly standstill_p50_ms: number
  readonly live_p50_ms: number
  readonly live_p99_ms: number
  readonly stop_and_copy_p50_ms: number
  readonly stop_and_copy_p99_ms: number
  readonly recompute_p50_ms: number
  readonly median_gap_ms: number
}

const MODES: readonly MoveMode[] = ['live', 'stop-and-copy']

function reportOf(contextTokens: number, runs: readonly MoveRun[]): ContextReport {
  const mine = runs.filter((run) => run.contextTokens === contextTokens)
  const downtimes = (mode: MoveMode): number[] => mine.filter((run) => run.mode === mode).flatMap(({ downtimeMs }) => (downtimeMs === null ? [] : [downtimeMs])).toSorted((a, b) => a - b)
  const standstills = mine.filter(({ mode }) => mode === 'live').flatMap(({ standstillMs }) => (standstillMs === null ? [] : [standstillMs])).toSorted((a, b) => a - b)
  const [live, stopped] = [downtimes('live'), downtimes('stop-and-copy')]
  return {
    context_tokens: contextTokens, moves: live.length,
    standstill_p50_ms: percentile(standstills, 50) ?? 0,
    live_p50_ms: percentile(live, 50) ?? 0, live_p99_ms: percentile(live, 99) ?? 0,
    stop_and_copy_p50_ms: percentile(stopped, 50) ?? 0, stop_and_copy_p99_ms: percentile(stopped, 99) ?? 0,
    recompute_p50_ms: median(mine.map(({ recomputeMs }) => recomputeMs)), median_gap_ms: median(mine.map(({ medianGapMs }) => medianGapMs)),
  }
}

function render(reports: readonly ContextReport[]): string {
  const rows = reports.map((report) => {
    const times = [report.standstill_p50_ms, report.live_p50_ms, report.live_p99_ms, report.stop_and_copy_p50_ms, report.stop_and_copy_p99_ms, report.recompute_p50_ms, report.median_gap_ms]
    return [String(report.context_tokens), String(report.moves), ...times.map((value) => value.toFixed(1))]
  })
  return renderTable(rows, { head: ['context', 'moves', 'standstill P50 ms', 'live P50 ms', 'live P99 ms', 'stop P50 ms', 'stop P99 ms', 'recompute P50 ms', 'median gap ms'] })
}

/** Two instances that decode. */
async function startPair(config: ServeConfig): Promise<EmbeddedCluster> {
  const onFatal = (error: Error): void => {
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
  const two = { ...config, httpPort: 0, grpcPort: 0, adminPort: null, numMixed: 2, numPrefill: 0, numDecode: 0, placement: 'colocated', migration: 'off' } as const
  const cluster = await EmbeddedCluster.start({ config: two, log: createLogger('silent'), version, onProgress: () => {}, onFatal })
  while (cluster.routerActor.instances().filter(({ load }) => load !== null).length < 2) await delay(5)
  return cluster
}

async function benchMigration(flags: Flags, config: ServeConfig): Promise<void> {
  const cluster = await startPair(config)
  const hand = handOf(cluster)
  const stop = new AbortController()
  const runs: MoveRun[] = []
  const neighbours = Array.from({ length: flags.neighbours }, (_, index) => keepBusy(cluster, `n${index}`, randomStream(flags.seed, `neighbour ${index}`), stop.signal))
  const plans = flags.contexts.flatMap((contextTokens) => MODES.map((mode) => ({ mode, contextTokens })))
  try {
    for (let round = -1; round < flags.rounds; round++) {
      process.stderr.write(round < 0 ? 'warming up\n' : `round ${round + 1}/${flags.rounds}\n`)
      for (const plan of plans) {
        const label = `${plan.mode}-${plan.contextTokens}-${round}`
        const run = await measureMove(cluster, hand, { ...plan, label }, randomStream(flags.seed, label))
        if (round >= 0) runs.push(run)
      }
    }
  } finally {
    stop.abort()
    await Promise.all(neighbours)
    await cluster.close(0)
  }
  const reports = flags.contexts.map((contextTokens) => reportOf(contextTokens, runs))
  if (flags.json !== undefined) await writeFile(flags.json, `${JSON.stringify({ rounds: flags.rounds, neighbours: flags.neighbours, reports, runs }, null, 2)}\n`)
  process.stdout.write(`${render(reports)}\n`)
}

export function benchMigrationCommand(context: CliContext): Command {
  return new Command('migration')
    .description('Downtime of requests that move between two instances while they decode, by context length; destination without prefill.')
    .argument('[MODEL]', 'checkpoint directory (default: the bundled target)')
    .option('--contexts <list>', 'tokens in KV when they move', wholeNumbers('contexts', 32), [128, 512, 1024, 1900])
    .option('--rounds <N>', 'moves of each kind and length', wholeNumber('rounds', 1), 20)
    .option('--neighbours <N>', 'requests that decode on the two instances meanwhile', wholeNumber('neighbours', 0), 0)
    .option('--seed <N>', 'seed of the prompts', wholeNumber('seed', 0), 1)
    .option('--json <FILE>', 'write the report there')
    .action(async (model: string | undefined, flags: Flags) => {
      await benchMigration(flags, await readServeConfig(model === undefined ? {} : { model }, context))
    })
}
