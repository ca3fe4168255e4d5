// `rubato plan placement`: how many GPUs for prompts, how many for tokens, and in which shape.
import { writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import type { CliContext } from '../context.ts'
import { withInterrupt } from './interrupt.ts'

interface Flags {
  readonly config: string
  readonly json?: string
}

const NOTES = `
A study by DistServe's profiles and queueing model: Rubato itself runs instances of one device (tp 1, pp 1).

Example:
  rubato plan placement --config placement.yaml --json plan.json`

export function planPlacementCommand(context: CliContext): Command {
  return new Command('placement')
    .description('The split of GPUs between prefill and decode instances with the highest goodput per GPU (DistServe).')
    .requiredOption('--config <FILE>', 'model, GPUs, SLO and workload')
    .option('--json <OUT>', 'write the plan there')
    .addHelpText('after', NOTES)
    .action((flags: Flags) => plan(flags, context))
}

async function plan({ config, json }: Flags, context: CliContext): Promise<void> {
  const { readPlacementConfig } = await import('../../planning/placement/placement-config.ts')
  const { renderPlacementReport, runPlacement } = await import('../../planning/placement/run-placement.ts')
  const fields = await readPlacementConfig(config)
  const report = await withInterrupt('plan', (interruptible) => runPlacement(fields, interruptible))
  if (json !== undefined) await writeFile(json, `${JSON.stringify(report, null, 1)}\n`)
  context.print(renderPlacementReport(report))
}
