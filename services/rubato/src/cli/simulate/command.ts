// `rubato simulate`: scenarios on the simulated cluster, or, with --faults, random clusters under random faults.
import { writeFile } from 'node:fs/promises'
import os from 'node:os'
import process from 'node:process'
import { InvalidArgument } from '@rubato/config'
import { Command } from 'commander'
import { wholeNumber } from '../../bench/flag-values.ts'
import type { ScenarioReport } from '../../simulated/report/scenario-report.ts'
import type { CliContext } from '../context.ts'
import { EXIT_FAILED } from '../failure.ts'

interface Flags {
  readonly json?: string
  readonly html?: string
  readonly seeds?: string
  readonly jobs?: number
  readonly faults?: true
}

const SIGINT_EXIT_CODE = 130

const NOTES = `
Examples:
  rubato simulate scenarios/sarathi-yi34b.yaml
  rubato simulate scenarios/splitwise-conversation.yaml --seeds 1..5 --json out.json --html out.html
  rubato simulate --seeds 1..1000 --faults`

export function simulateCommand(context: CliContext): Command {
  return new Command('simulate')
    .description('Runs a scenario on the simulated cluster: the actors and policies that serve, in virtual time, on engines made of published profiles.')
    .argument('[FILE]', 'the scenario, YAML')
    .option('--json <OUT>', 'write the report there')
    .option('--html <OUT>', 'write the report with plots there, one file that needs no network')
    .option('--seeds <A..B>', "seeds in place of the scenario's: one, or a range")
    .option('--jobs <N>', 'trials that run at a time (default: one per core)', wholeNumber('jobs', 1))
    .option('--faults', 'in place of a scenario: each seed draws a cluster, its requests and what goes wrong; every invariant is checked')
    .addHelpText('after', NOTES)
    .action((file: string | undefined, flags: Flags) => (flags.faults === true ? swarm(file, flags, context) : simulate(file, flags, context)))
}

async function simulate(file: string | undefined, flags: Flags, context: CliContext): Promise<void> {
  if (file === undefined) throw new InvalidArgument('FILE', 'name a scenario, or give --seeds A..B --faults')
  const { openScenario, parseSeeds, renderReport, runScenario } = await import('../../simulated/index.ts')
  const scenario = await openScenario(file)
  const seeds = flags.seeds === undefined ? scenario.seeds : seedsOf(flags.seeds, parseSeeds)
  await interruptible(async (signal, progress) => {
    const report = await runScenario(scenario, { seeds, numThreads: flags.jobs ?? os.availableParallelism(), progress, signal })
    await save(report, flags)
    context.print(renderReport(report))
  })
}

/** Sets the exit code where an invariant was violated or a transition was not met. */
async function swarm(file: string | undefined, { seeds, jobs, json, html }: Flags, context: CliContext): Promise<void> {
  if (file !== undefined) throw new InvalidArgument('FILE', '--faults takes no scenario: its seeds decide everything')
  if (html !== undefined) throw new InvalidArgument('html', '--faults draws no plots: use --json')
  if (seeds === undefined) throw new InvalidArgument('seeds', '--faults needs seeds, such as --seeds 1..1000')
  const { parseSeeds } = await import('../../simulated/index.ts')
  const { renderCampaign, runCampaign } = await import('../../simulated/swarm/index.ts')
  const drawn = seedsOf(seeds, parseSeeds)
  await interruptible(async (signal, progress) => {
    const report = await runCampaign({ seeds: drawn, numThreads: jobs ?? os.availableParallelism(), progress, onFailure: context.print, signal })
    if (json !== undefined) await writeFile(json, `${JSON.stringify(report, null, 1)}\n`)
    context.print(renderCampaign(report))
    if (!report.passed) process.exitCode = EXIT_FAILED
  })
}

function seedsOf(text: string, parse: (range: string) => number[] | null): number[] {
  const seeds = parse(text)
  if (seeds === null) throw new InvalidArgument('seeds', `${text} is no seed and no range such as 1..5`)
  return seeds
}

/** Runs until it is done, or is told to end early by a signal; then the exit code says so. */
async function interruptible(run: (signal: AbortSignal, progress: (line: string) => void) => Promise<void>): Promise<void> {
  const stop = new AbortController()
  const onSignal = (): void => stop.abort()
  process.once('SIGINT', onSignal)
  process.once('SIGTERM', onSignal)
  try {
    await run(stop.signal, progressWriter())
    if (stop.signal.aborted) process.exitCode = SIGINT_EXIT_CODE
  } finally {
    process.removeListener('SIGINT', onSignal)
    process.removeListener('SIGTERM', onSignal)
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
  }
}

/** Overwrites one line on a terminal, prints lines that say something new elsewhere. */
function progressWriter(): (line: string) => void {
  let last = ''
  return (line) => {
    if (line === last) return
    last = line
    process.stderr.write(process.stderr.isTTY ? `\r\u001b[K[simulate] ${line}` : `[simulate] ${line}\n`)
  }
}

async function save(report: ScenarioReport, { json, html }: Flags): Promise<void> {
  if (json !== undefined) await writeFile(json, `${JSON.stringify(report, null, 1)}\n`)
  if (html === undefined) return
  // The plotting library is loaded only when something is drawn.
  const { renderPage } = await import('../../simulated/report/html/page.ts')
  await writeFile(html, renderPage(report))
}
