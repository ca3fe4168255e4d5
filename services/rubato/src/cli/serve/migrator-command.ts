// `rubato migrator`: flags in, one resolved record out to the migrator process.
import process from 'node:process'
import { MIGRATOR_FLAGS } from '@rubato/config/commands'
import { Command } from 'commander'
import type { CliContext } from '../context.ts'
import { addFlagOptions, givenFlags } from './flag-options.ts'
import { readMigratorConfig } from './read-config.ts'

const NOTES = `
Several can run: one leads, the others stand by and take over within a lease (2 s). Nothing that is served depends on it.

Examples:
  rubato migrator --nats nats://10.0.0.1:4222
  rubato migrator --cluster prod --instance-id m2 --metrics-port 9100`

export function migratorCommand(context: CliContext): Command {
  const command = new Command('migrator').description('Moves running requests from full instances to free ones, empties draining ones, and advises on the size of a cluster over NATS.')
  command.addHelpText('after', NOTES)
  addFlagOptions(command, MIGRATOR_FLAGS)
  return command.action(async () => {
    const config = await readMigratorConfig(givenFlags(command, undefined), context)
    const { runMigratorProcess } = await import('../../cluster/migrator-process.ts')
    process.exitCode = await runMigratorProcess(config)
  })
}
