// `rubato bench router`: one router as its own process, synthetic instances and clients in others.
import { writeFile } from 'node:fs/promises'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import type { CliContext } from '../../cli/context.ts'
import { renderTable } from '../../cli/table.ts'
import { Fleet } from '../cluster/fleet/fleet.ts'
import { stopOnSignal } from '../cluster/stop-on-signal.ts'
import { parseNonNegative, wholeNumber } from '../flag-values.ts'
import { measureRouter } from './measure-router.ts'
import type { RouterReport } from './measure-router.ts'
import { ProbedRouter, profileArgs } from './probed-router.ts'

interface Flags {
  readonly streams: number
  readonly stepMs: number
  readonly instances: number
  readonly tokenRequests: number
  readonly outputLen: number
  readonly costRequests: number
  readonly promptLen: number
  readonly memoryRequests: number
  readonly seed: number
  readonly cpuProf?: string
  readonly natsServer?: string
  readonly json?: string
}

/** What a router is meant to cost. */
const TARGETS = { usPerToken: 20, usPerRequest: 1000 } as const

export function renderRouter({ relay, request, memory, ...report }: RouterReport): string {
  const verdict = (value: number, limit: number): string => `${value <= limit ? 'within' : 'OVER'} ${limit}`
  const rows = [
    ['CPU per relayed token', `${report.cpu_us_per_token.toFixed(1)} us`, `${verdict(report.cpu_us_per_token, TARGETS.usPerToken)}; ${report.streams} streams, ${relay.tokens_per_s.toFixed(0)} tokens/s`],
    ['CPU per request besides', `${report.cpu_us_per_request.toFixed(0)} us`, `${verdict(report.cpu_us_per_request, TARGETS.usPerRequest)}; prompts of ${report.prompt_tokens} tokens as text, ${(request.requests / request.wall_s).toFixed(0)} requests/s`],
    ['CPU when idle', `${report.idle_cpu_ms_per_s.toFixed(1)} ms/s`, 'part of both figures above'],
  ]
  if (memory !== null) {
    const bytes = (value: number | null): string => (value === null ? '-' : `${value.toFixed(1)} B per request`)
    rows.push(
      ['heap after gc', bytes(memory.heap_bytes_per_request), `${memory.heap_start_mb.toFixed(1)} to ${memory.heap_end_mb.toFixed(1)} MB over ${memory.requests} requests`],
      ['RSS', bytes(memory.rss_bytes_per_request), `${memory.rss_start_mb.toFixed(0)} to ${memory.rss_end_mb.toFixed(0)} MB`],
    )
  }
  return renderTable(rows)
}

async function benchRouter(model: string | undefined, flags: Flags, context: CliContext): Promise<void> {
  const { signal, exitCode, release } = stopOnSignal()
  const progress = (line: string): void => void process.stderr.write(`[bench] ${line}\n`)
  const fleet = await Fleet.start({
    numRouters: 1, numPrefill: 0, numDecode: flags.instances, engine: `synthetic:${flags.stepMs}`, modelDir: model ?? null,
    routerFlags: ['--queue-size', '100000'],
    instanceFlags: ['--max-num-seqs', String(flags.streams), '--max-num-batched-tokens', String(flags.streams + 2048)],
    probed: 'routers',
    routerNodeArgs: profileArgs(flags.cpuProf ?? null),
    env: context.env, natsServer: flags.natsServer ?? null, logFolder: null, progress, signal,
  })
  const router = new ProbedRouter(fleet)
  try {
    const { streams: numStreams, tokenRequests, outputLen: outputTokens, costRequests, promptLen: promptTokens, memoryRequests, seed } = flags
    const plan = { numStreams, tokenRequests, outputTokens, costRequests, promptTokens, memoryRequests, seed }
    const report = await measureRouter(router, plan, { progress, signal, sleep: (ms) => delay(ms) })
    if (flags.json !== undefined) await writeFile(flags.json, `${JSON.stringify({ step_ms: flags.stepMs, instances: flags.instances, ...report }, null, 2)}\n`)
    context.print(renderRouter(report))
    process.exitCode = exitCode(0)
  } finally {
    router.close()
    await fleet.stop()
    release()
  }
}

export function benchRouterCommand(context: CliContext): Command {
  return new Command('router')
    .description('CPU of a router per relayed token and per request, and its memory over many requests, over NATS and gRPC.')
    .argument('[MODEL]', 'checkpoint directory whose tokenizer is used (default: the bundled target)')
    .option('--streams <N>', 'requests in flight', wholeNumber('streams', 1), 64)
    .option('--step-ms <MS>', 'step time of the synthetic instances', (text) => parseNonNegative('step-ms', text), 10)
    .option('--instances <N>', 'synthetic instances', wholeNumber('instances', 1), 1)
    .option('--token-requests <N>', 'streams that the cost of a token is measured with', wholeNumber('token-requests', 1), 256)
    .option('--output-len <TOKENS>', 'their length', wholeNumber('output-len', 2), 512)
    .option('--cost-requests <N>', 'requests of one token that the cost of a request is measured with', wholeNumber('cost-requests', 1), 2000)
    .option('--prompt-len <TOKENS>', 'prompt length of all requests', wholeNumber('prompt-len', 1), 256)
    .option('--memory-requests <N>', 'requests that memory is watched over; 0: none', wholeNumber('memory-requests', 0), 100_000)
    .option('--seed <N>', 'of the prompts', wholeNumber('seed', 0), 1)
    .option('--cpu-prof <DIR>', "write the router's CPU profile there")
    .option('--nats-server <FILE>', 'the binary (default: NATS_SERVER, or found on this machine)')
    .option('--json <FILE>', 'write the report there')
    .action((model: string | undefined, flags: Flags) => benchRouter(model, flags, context))
}
