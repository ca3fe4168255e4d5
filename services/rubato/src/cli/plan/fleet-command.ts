// `rubato plan fleet`: which accelerators to rent, and how many.
import { mkdir, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { Command } from 'commander'
import { wholeNumber } from '../../bench/flag-values.ts'
import type { CliContext } from '../context.ts'
import { withInterrupt } from './interrupt.ts'

interface Flags {
  readonly config: string
  readonly json?: string
  readonly jobs?: number
  readonly saveProfiles?: string
}

const NOTES = `
The file is Mélange's own (gpu_info, workload_distribution, ...) or ours; see docs/planners.md.

Examples:
  rubato plan fleet --config data/melange/config_example.json
  rubato plan fleet --config fleet.yaml --json plan.json --save-profiles profiles/`

const EXIT_INFEASIBLE = 1

export function planFleetCommand(context: CliContext): Command {
  return new Command('fleet')
    .description('The cheapest mix of accelerator types for a load by request size (Mélange), and where each size goes.')
    .requiredOption('--config <FILE>', 'load, prices, stock and profiles')
    .option('--json <OUT>', 'write the plan there')
    .option('--save-profiles <DIR>', "write the profiles that were measured in simulation there, in AIBrix's format")
    .option('--jobs <N>', 'simulations that run at a time (default: one per core)', wholeNumber('jobs', 1))
    .addHelpText('after', NOTES)
    .action((flags: Flags) => plan(flags, context))
}

async function plan({ config: file, json, jobs, saveProfiles }: Flags, context: CliContext): Promise<void> {
  const { readFleetConfig } = await import('../../planning/fleet/fleet-config.ts')
  const { runFleet } = await import('../../planning/fleet/run-fleet.ts')
  const { renderFleetReport } = await import('../../planning/fleet/fleet-report.ts')
  const config = await readFleetConfig(file)
  const { report, profiles } = await withInterrupt('plan', ({ signal, progress }) => runFleet(config, { numThreads: jobs ?? os.availableParallelism(), progress, signal }))
  if (json !== undefined) await writeFile(json, `${JSON.stringify(report, null, 1)}\n`)
  if (saveProfiles !== undefined) {
    await mkdir(saveProfiles, { recursive: true })
    for (const [name, text] of profiles) await writeFile(path.join(saveProfiles, `${name}.json`), text)
  }
  context.print(renderFleetReport(report))
  if (report.outcome !== 'planned') process.exitCode = EXIT_INFEASIBLE
}
