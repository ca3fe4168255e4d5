// `rubato prefill` and `rubato decode`: flags in, one resolved record out to the instance process.
import process from 'node:process'
import { INSTANCE_FLAGS } from '@rubato/config/commands'
import { Command } from 'commander'
import type { CliContext } from '../context.ts'
import { addFlagOptions, givenFlags } from './flag-options.ts'
import { readInstanceConfig } from './read-config.ts'

const DUTIES = { prefill: 'prompts', decode: 'tokens' } as const

const notes = (role: keyof typeof DUTIES): string => `
Roles steer dispatch, they forbid nothing: where only one kind of instance runs, it does everything.

Examples:
  rubato ${role} --nats nats://10.0.0.1:4222 --model ./Qwen3-0.6B --instance-id ${role}-1
  rubato ${role} --host 0.0.0.0 --advertise-address gpu7 --kv-port 7100 --cluster-certfile c.pem --cluster-keyfile k.pem --cluster-ca-certs ca.pem`

export function instanceCommand(context: CliContext, role: keyof typeof DUTIES): Command {
  const command = new Command(role).description(`One instance of a cluster over NATS whose first duty is ${DUTIES[role]}.`)
  command.argument('[MODEL]', 'checkpoint directory (default: the bundled shakespeare-target)').addHelpText('after', notes(role))
  addFlagOptions(command, INSTANCE_FLAGS)
  return command.action(async (model: string | undefined) => {
    const config = await readInstanceConfig(givenFlags(command, model), context, role)
    const { runInstance } = await import('../../cluster/instance-process.ts')
    process.exitCode = await runInstance(config, role)
  })
}
