// `rubato bench isolation`: what prompts cost those who decode, when they are computed elsewhere and when not; and how the KV
// of a prompt travels.
import { writeFile } from 'node:fs/promises'
import process from 'node:process'
import { Command } from 'commander'
import { randomStream } from '@rubato/sim'
import type { CliContext } from '../../cli/context.ts'
import { stopOnSignal } from '../cluster/stop-on-signal.ts'
import { wholeNumber } from '../flag-values.ts'
import { IsolationCluster } from './isolation-cluster.ts'
import { isolationReport, renderIsolation } from './isolation-report.ts'
import { runRounds } from './isolation-rounds.ts'
import type { IsolationPlan } from './isolation-rounds.ts'
import { measureKvTiming, renderKvTiming } from './kv-timing.ts'

interface Flags extends IsolationPlan {
  readonly kvRequests: number
  readonly seed: number
  readonly quantization: string
  readonly json?: string
}

const KV_CACHE = '384MiB'

async function benchIsolation(model: string | undefined, flags: Flags, context: CliContext): Promise<void> {
  const { streams, steps, promptTokens, stepsPerPrompt, roundTokens, kvRequests, seed, quantization } = flags
  const { signal, exitCode, release } = stopOnSignal()
  const progress = (line: string): void => {
    process.stderr.write(`${line}\n`)
    signal.throwIfAborted()
  }
  const plan: IsolationPlan = { streams, steps, promptTokens, stepsPerPrompt, roundTokens }
  let cluster: IsolationCluster | null = null
  try {
    cluster = await IsolationCluster.open({ ...(model === undefined ? {} : { model }), quantization, 'kv-cache-memory-bytes': KV_CACHE }, context, progress)
    const kv = await measureKvTiming(cluster, { requests: kvRequests, promptTokens }, randomStream(seed, 'kv'))
    progress(renderKvTiming(kv))
    const rounds = await runRounds(cluster, plan, randomStream(seed, 'prompts'), progress)
    const isolation = isolationReport(rounds, { streams, random: randomStream(seed, 'resamples') })
    if (flags.json !== undefined) await writeFile(flags.json, `${JSON.stringify({ plan, seed, quantization, isolation, kv }, null, 2)}\n`)
    context.print(`${renderIsolation(isolation)}\n\n${renderKvTiming(kv)}`)
    process.exitCode = exitCode(isolation.exceeded || kv.exceeded ? 1 : 0)
  } catch (error) {
    if (!signal.aborted) throw error
    process.exitCode = exitCode(1)
  } finally {
    await cluster?.close()
    release()
  }
}

/** Exit code 1 where a limit is exceeded, 130 after a signal, which is heard between rounds; a second one does not wait. */
export function benchIsolationCommand(context: CliContext): Command {
  return new Command('isolation')
    .description('CPU of decode steps while long prompts are computed nowhere, elsewhere, elsewhere with their KV handed over, and beside them; timing of KV hand-offs.')
    .argument('[MODEL]', 'checkpoint directory (default: the bundled target)')
    .option('--streams <N>', 'requests that decode throughout', wholeNumber('streams', 1), 8)
    .option('--steps <N>', 'decode steps per case, at least', wholeNumber('steps', 1), 2000)
    .option('--prompt-tokens <N>', 'length of the long prompts', wholeNumber('prompt-tokens', 1), 1024)
    .option('--steps-per-prompt <N>', 'decode steps from one long prompt to the next', wholeNumber('steps-per-prompt', 1), 40)
    .option('--round-tokens <N>', 'tokens of every stream in one round', wholeNumber('round-tokens', 8), 160)
    .option('--kv-requests <N>', 'prompts whose hand-off is timed', wholeNumber('kv-requests', 1), 20)
    .option('--quantization <METHOD>', 'none or int8', 'none')
    .option('--seed <N>', 'of the prompts', wholeNumber('seed', 0), 1)
    .option('--json <FILE>', 'write the report there')
    .action((model: string | undefined, flags: Flags) => benchIsolation(model, flags, context))
}
