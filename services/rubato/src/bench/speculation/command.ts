// `rubato bench speculation`: speculation policies side by side on one engine, over batches and temperatures.
import { writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { defaultCacheDir } from '@rubato/config/commands'
import { InvalidArgument } from '@rubato/config'
import { loadCheckpoint } from '@rubato/model/checkpoint'
import { loadOrMeasureProfile } from '@rubato/model/engine'
import { loadTextModel } from '@rubato/model/text'
import { SPECULATION_POLICY_NAMES, isSpeculationPolicyName } from '@rubato/policy'
import type { ProposerName } from '@rubato/policy'
import { randomStream } from '@rubato/sim'
import { Command, Option } from 'commander'
import type { CliContext } from '../../cli/context.ts'
import { renderTable } from '../../cli/table.ts'
import { BLOCK_SIZE, dtypeOf, modelLength, openBenchEngine } from '../engine/open-engine.ts'
import { parseList, parseNonNegative, wholeNumber, wholeNumbers } from '../flag-values.ts'
import { Excerpts, readPromptText } from '../serve/dataset/prompt-text.ts'
import { measurePolicies } from './measure-policies.ts'
import type { LoadRounds } from './measure-policies.ts'
import { measureSelector } from './selector-cost.ts'
import { renderSpeculation, speculationReport } from './speculation-report.ts'
import type { LoadReport } from './speculation-report.ts'

interface Flags {
  readonly model: string
  readonly draft: string
  readonly quantization?: string
  readonly policies: readonly string[]
  readonly proposer: ProposerName
  readonly batches: readonly number[]
  readonly temperatures: readonly number[]
  readonly rounds: number
  readonly tokens: number
  readonly promptTokens: number
  readonly text?: string
  readonly threads: number
  readonly seed: number
  readonly cacheDir: string
  readonly profile: string
  readonly json?: string
  readonly selector?: boolean
}

const PROFILE_BUDGET_MS = 2000
const PROPOSERS: readonly ProposerName[] = ['draft', 'tree', 'ngram', 'suffix']

function parsePolicies(text: string): readonly string[] {
  const names = parseList(text)
  for (const name of names) if (!isSpeculationPolicyName(name)) throw new InvalidArgument('policies', `holds ${name}; there are ${SPECULATION_POLICY_NAMES.join(', ')}`)
  return names
}

/** Endless prompts of so many tokens from natural text. */
async function promptSource(flags: Flags): Promise<() => readonly number[]> {
  const { config } = await loadCheckpoint(flags.model)
  const text = loadTextModel(flags.model, { vocabSize: config.vocabSize })
  const excerpts = new Excerpts(readPromptText(flags.text ?? null), randomStream(flags.seed, 'prompts'))
  return () => text.encode(excerpts.next(8 * flags.promptTokens), true).slice(0, flags.promptTokens)
}

/** Needs no engine. */
async function benchSelector({ json, seed }: Flags, context: CliContext): Promise<void> {
  const choices = measureSelector(randomStream(seed, 'selector'))
  if (json !== undefined) await writeFile(json, `${JSON.stringify({ seed, choices }, null, 2)}\n`)
  context.print(renderTable(choices.map(({ choice, p50_ms, p99_ms }) => [choice, p50_ms.toFixed(3), p99_ms.toFixed(3)]), { head: ['choice', 'P50 CPU ms', 'P99 CPU ms'] }))
}

async function benchSpeculation(flags: Flags, context: CliContext): Promise<void> {
  const say = (text: string): void => void process.stderr.write(`${text}\n`)
  const { batches, seed, threads } = flags
  const cacheDir = path.resolve(flags.cacheDir)
  const maxNumSeqs = Math.max(...batches)
  const blocksEach = Math.ceil((flags.promptTokens + flags.tokens) / BLOCK_SIZE) + 1
  const bench = await openBenchEngine({
    modelDir: path.resolve(flags.model), dtype: dtypeOf(flags.quantization), threads, cacheDir, maxModelLen: await modelLength(flags.model, Math.max(1024, flags.promptTokens + flags.tokens)),
    numBlocks: Math.ceil(maxNumSeqs * blocksEach * 1.1) + 1, draft: flags.draft === 'none' ? null : path.resolve(flags.draft), onProgress: say,
  })
  try {
    const { model: costModel } = await loadOrMeasureProfile({ engine: bench.engine, cacheDir, threads, mode: flags.profile, budgetMs: PROFILE_BUDGET_MS, maxNumSeqs })
    const { policies, proposer, rounds, temperatures, tokens } = flags
    const reportOf = (loads: readonly LoadRounds[]): LoadReport[] => speculationReport(loads, randomStream(seed, 'resamples'))
    const report = reportOf(await measurePolicies(bench.engine, {
      policies, speculation: { proposer }, batches, temperatures, rounds, tokens, seed, costModel, nextPrompt: await promptSource(flags), onProgress: say,
      onLoad: (load) => say(renderSpeculation(reportOf([load]))),
    }))
    if (flags.json !== undefined) {
      const { model, draft } = flags
      await writeFile(flags.json, `${JSON.stringify({ model, draft, dtype: dtypeOf(flags.quantization), threads, rounds, tokens, seed, cost_model: costModel, loads: report }, null, 2)}\n`)
    }
    context.print(renderSpeculation(report))
  } finally {
    await bench.engine.close()
  }
}

export function benchSpeculationCommand(context: CliContext): Command {
  const bundled = (name: string): string => path.join(context.repoRoot, 'models', name)
  return new Command('speculation')
    .description('Tokens per second of CPU under each speculation policy, by batch and temperature; policies take turns.')
    .option('--model <DIR>', 'checkpoint directory', bundled('shakespeare-target'))
    .option('--draft <none|DIR>', 'draft model', bundled('shakespeare-draft'))
    .option('--quantization <METHOD>', 'int8: 8-bit weights')
    .option('--policies <LIST>', 'policies; the others are compared with the first', parsePolicies, ['off', 'auto', 'static:4'])
    .addOption(new Option('--proposer <NAME>', 'who proposes for static:K and smartspec').choices(PROPOSERS).default('draft'))
    .option('--batches <LIST>', 'requests that decode together', wholeNumbers('batches', 1), [1, 2, 4, 8, 16, 32])
    .option('--temperatures <LIST>', 'sampling temperatures', (text) => parseList(text).map((each) => parseNonNegative('temperatures', each)), [0, 0.8])
    .option('--rounds <N>', 'turns of each policy', wholeNumber('rounds', 2), 10)
    .option('--tokens <N>', 'tokens of every request', wholeNumber('tokens', 8), 160)
    .option('--prompt-tokens <N>', 'length of the prompts', wholeNumber('prompt-tokens', 1), 48)
    .option('--text <FILE>', 'text that prompts are taken from (default: the bundled one)')
    .option('--threads <N>', 'intra-op threads', wholeNumber('threads', 1), 1)
    .option('--profile <auto|refresh|FILE>', 'step-time profile', 'auto')
    .option('--cache-dir <DIR>', 'profiles, digests and quantised weights', defaultCacheDir(process.env, os.homedir()))
    .option('--seed <N>', 'of prompts and sampling', wholeNumber('seed', 0), 1)
    .option('--selector', 'measure instead what choosing nodes costs: 128 sequences, 25 candidates each')
    .option('--json <FILE>', 'write the report there')
    .action((flags: Flags) => (flags.selector === true ? benchSelector(flags, context) : benchSpeculation(flags, context)))
}
