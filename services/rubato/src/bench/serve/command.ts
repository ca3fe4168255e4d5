// `rubato bench serve`: the load generator on the command line.
import { writeSync } from 'node:fs'
import { RubatoError } from '@rubato/config'
import { Command, Option } from 'commander'
import { optionsOf } from './command-flags.ts'
import type { BenchServeFlags } from './command-flags.ts'
import { renderReport } from './report/render.ts'
import type { BenchServeReport } from './report/report.ts'
import { saveReport } from './report/save.ts'
import { runBenchServe } from './run.ts'

interface OutputFlags {
  readonly saveResult?: boolean
  readonly resultDir: string
  readonly resultFilename?: string
  readonly disableTqdm?: boolean
}

const SIGINT_EXIT_CODE = 130

function addTargetFlags(command: Command): Command {
  return command
    .addOption(new Option('--backend <name>', 'protocol of the server (default: openai; rubato-grpc where --grpc is given)').choices(['openai', 'openai-chat', 'rubato-grpc']))
    .option('--base-url <url>', 'server URL, in place of --host and --port')
    .option('--host <host>', 'server host', '127.0.0.1')
    .option('--port <port>', 'server port', '8000')
    .option('--endpoint <path>', 'path of the endpoint (default: /v1/completions, /v1/chat/completions)')
    .option('--grpc <address>', 'HOST:PORT of a rubato.v1 gRPC server; grpcs://HOST:PORT for TLS')
    .option('--insecure', 'accept any TLS certificate')
    .option('--api-key <key>', 'sent as bearer token')
    .option('--header <key=value...>', 'headers (gRPC: metadata) of every request')
    .option('--model <id>', 'model name (default: the first that the server lists)')
}

function addDatasetFlags(command: Command): Command {
  return command
    .addOption(new Option('--dataset-name <name>', 'where prompts and lengths come from').choices(['random', 'shakespeare', 'trace', 'mixed-slo']).default('random'))
    .option('--dataset-path <file>', 'trace (Azure or splitwise-sim CSV, Mooncake JSON lines, also .gz), or a text in place of the bundled Shakespeare')
    .option('--num-prompts <n>', 'requests', '1000')
    .option('--input-len <tokens>', 'same as --random-input-len')
    .option('--output-len <tokens>', 'same as --random-output-len')
    .option('--random-input-len <tokens>', 'prompt length of random and shakespeare', '1024')
    .option('--random-output-len <tokens>', 'output length of random and shakespeare', '128')
    .option('--random-range-ratio <ratio>', 'lengths vary uniformly by this share', '0')
    .option('--random-prefix-len <tokens>', 'tokens that all random prompts begin with', '0')
    .option('--random-vocab-size <n>', 'random token ids lie below this', '1024')
    .option('--chars-per-token <n>', 'how text prompts are cut to a length', '2.3')
    .option('--trace-scale <factor>', 'factor on the lengths of a trace', '1')
    .option('--trace-max-input-len <tokens>', 'cap on the prompts of a trace, after scaling')
    .option('--trace-max-output-len <tokens>', 'cap on the outputs of a trace, after scaling')
}

function addMixedSloFlags(command: Command): Command {
  return command
    .option('--mixed-slo-shares <list>', 'shares of coding, chat, summarisation (default: 60,20,20)')
    .option('--mixed-slo-input-lens <list>', 'prompt tokens per class (default: 96,128,768)')
    .option('--mixed-slo-output-lens <list>', 'output tokens per class (default: 96,96,64)')
    .option('--mixed-slo-ttft <list>', 'TTFT targets: MS, FACTORx of the baseline, or none (default: 10x,10x,10x)')
    .option('--mixed-slo-tpot <list>', 'TPOT targets, likewise (default: 1.2x,1.67x,5x)')
    .option('--calibration-requests <n>', 'requests per class, one at a time, that measure the baseline', '3')
    .option('--baseline-tpot-ms <ms>', 'baseline TPOT, instead of measuring it')
}

function addLoadFlags(command: Command): Command {
  return command
    .option('--request-rate <per-second>', 'mean rate of arrivals; inf: all at once (a trace: at its own times)', 'inf')
    .option('--burstiness <shape>', 'gamma shape of the gaps: 1 is Poisson, below burstier, inf even', '1')
    .option('--max-concurrency <n>', 'requests in flight at most')
    .option('--num-warmups <n>', 'unmeasured requests before the run', '0')
    .option('--seed <n>', 'of prompts, lengths and arrivals', '0')
    .option('--ignore-eos', 'generate every output to its full length')
    .option('--temperature <t>', 'sampling temperature; 0 is greedy', '0')
    .option('--top-p <p>', 'nucleus sampling')
    .option('--top-k <k>', 'top-k sampling')
    .option('--min-p <p>', 'min-p sampling')
    .option('--extra-body <json>', 'fields merged into every HTTP request body')
    .option('--return-token-ids', 'ask for token ids with every chunk (Rubato, vLLM): exact token counts and gaps')
    .option('--send-slo', 'tell the server the --goodput targets too')
    .option('--no-send-slo', 'tell the server no targets, not even those of mixed-slo')
}

function addReportFlags(command: Command): Command {
  return command
    .option('--goodput <target...>', 'targets in milliseconds: ttft:MS tpot:MS e2el:MS')
    .option('--percentile-metrics <list>', 'measures in the table', 'ttft,tpot,itl,e2el')
    .option('--metric-percentiles <list>', 'percentiles in the table', '99')
    .option('--save-result', 'write the report as JSON')
    .option('--save-detailed', 'include every request in the JSON')
    .option('--result-dir <dir>', 'folder of the JSON', '.')
    .option('--result-filename <name>', 'name of the JSON (default: made from label, rate, model and date)')
    .option('--label <text>', 'label of the run')
    .option('--metadata <key=value...>', 'fields added to the JSON')
    .option('--disable-tqdm', 'no progress lines')
}

/** Overwrites one line on a terminal, prints lines elsewhere. */
function progressWriter(isQuiet: boolean): (line: string) => void {
  if (isQuiet) return () => {}
  return process.stderr.isTTY ? (line) => process.stderr.write(`\r\u001b[K[bench] ${line}`) : (line) => process.stderr.write(`[bench] ${line}\n`)
}

/** Runs while SIGINT and SIGTERM mean: stop sending and report. */
async function runUntilSignal(flags: BenchServeFlags & OutputFlags): Promise<{ report: BenchServeReport; wasStopped: boolean }> {
  const options = optionsOf(flags)
  const stop = new AbortController()
  const onSignal = (): void => stop.abort()
  process.once('SIGINT', onSignal)
  process.once('SIGTERM', onSignal)
  try {
    const report = await runBenchServe(options, { progress: progressWriter(flags.disableTqdm ?? false), signal: stop.signal })
    return { report, wasStopped: stop.signal.aborted }
  } finally {
    process.removeListener('SIGINT', onSignal)
    process.removeListener('SIGTERM', onSignal)
    if (process.stderr.isTTY && flags.disableTqdm !== true) process.stderr.write('\r\u001b[K')
  }
}

async function benchServe(flags: BenchServeFlags & OutputFlags, command: Command): Promise<void> {
  try {
    const { report, wasStopped } = await runUntilSignal(flags)
    const { percentileMetrics, metricPercentiles } = optionsOf(flags).report
    // Synchronous: a pipe must have it all before the process ends.
    writeSync(1, `${renderReport(report, { percentileMetrics, metricPercentiles })}\n`)
    if (flags.saveResult === true || flags.saveDetailed === true || flags.resultFilename !== undefined) {
      process.stderr.write(`[bench] report: ${saveReport(report, flags.resultDir, flags.resultFilename ?? null)}\n`)
    }
    if (wasStopped) process.exitCode = SIGINT_EXIT_CODE
    else if (report.completed === 0) process.exitCode = 1
  } catch (error) {
    if (!(error instanceof RubatoError)) throw error
    command.error(`error: ${error.field === undefined ? '' : `${error.field}: `}${error.message}`)
  }
}

/** The `serve` subcommand of `rubato bench`. Exit code 1 where nothing completed, 130 after SIGINT or SIGTERM. */
export function benchServeCommand(): Command {
  const command = new Command('serve').description('load generator for any OpenAI-compatible server or a Rubato gRPC server; flags and report of `vllm bench serve`')
  for (const add of [addTargetFlags, addDatasetFlags, addMixedSloFlags, addLoadFlags, addReportFlags]) add(command)
  return command.action(benchServe)
}
