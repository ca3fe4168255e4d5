// `rubato model inspect`: what a checkpoint directory holds and whether it can be served.
import { existsSync } from 'node:fs'
import { InvalidArgument } from '@rubato/config'
import { describeCheckpoint } from '@rubato/model/checkpoint'
import { Command } from 'commander'
import type { CliContext } from '../context.ts'
import { renderReport } from './report-text.ts'

export function modelInspectCommand({ print }: CliContext): Command {
  return new Command('inspect')
    .description('Says what a checkpoint is, whether it can be served, and why not. Reads no weights.')
    .argument('<DIR>', 'Hugging Face checkpoint directory')
    .option('--json', 'the whole report as JSON')
    .action(async (dir: string, options: { json?: true }) => {
      if (!existsSync(dir)) throw new InvalidArgument('DIR', `${dir} does not exist; give a local Hugging Face checkpoint directory`)
      const report = await describeCheckpoint(dir)
      print(options.json === true ? JSON.stringify(report, null, 2) : renderReport(report))
    })
}
