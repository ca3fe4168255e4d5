// `rubato speculator`: flags in, one resolved record out to the speculator process.
import process from 'node:process'
import { SPECULATOR_FLAGS } from '@rubato/config/commands'
import { Command } from 'commander'
import type { CliContext } from '../context.ts'
import { addFlagOptions, givenFlags } from './flag-options.ts'
import { readSpeculatorConfig } from './read-config.ts'

const NOTES = `
Instances find speculators by themselves, and use them where that is faster than plain decoding and than a draft model of
their own (--drafting). Nothing that is served depends on one. Beyond this machine it needs --cluster-certfile,
--cluster-keyfile and --cluster-ca-certs, as instances do.

Examples:
  rubato speculator --nats nats://10.0.0.1:4222 --model ./Qwen3-8B --draft ./Qwen3-0.6B
  rubato decode --nats nats://10.0.0.1:4222 --model ./Qwen3-8B --drafting remote`

export function speculatorCommand(context: CliContext): Command {
  const command = new Command('speculator').description('A draft model that the instances of a cluster over NATS share.')
  command.argument('[MODEL]', 'checkpoint directory of the model that it drafts for (default: the bundled shakespeare-target)').addHelpText('after', NOTES)
  addFlagOptions(command, SPECULATOR_FLAGS)
  return command.action(async (model: string | undefined) => {
    const config = await readSpeculatorConfig(givenFlags(command, model), context)
    const { runSpeculatorProcess } = await import('../../cluster/speculator-process.ts')
    process.exitCode = await runSpeculatorProcess(config)
  })
}
