// `rubato router`: flags in, one resolved record out to the router process.
import process from 'node:process'
import { ROUTER_FLAGS } from '@rubato/config/commands'
import { Command } from 'commander'
import type { CliContext } from '../context.ts'
import { addFlagOptions, givenFlags } from './flag-options.ts'
import { readRouterConfig } from './read-config.ts'

const NOTES = `
It needs no engine, but the checkpoint: for its tokenizer, and to know which instances serve the same model. Give every
process of a cluster the same model flags.

Examples:
  rubato router --nats nats://10.0.0.1:4222 --model ./Qwen3-0.6B
  rubato router --instance-id r2 --port 8001 --grpc-port 50061 --admin-port 50062`

export function routerCommand(context: CliContext): Command {
  const command = new Command('router').description('One router of a cluster over NATS: HTTP (OpenAI) and gRPC for clients, requests to instances.')
  command.argument('[MODEL]', 'checkpoint directory (default: the bundled shakespeare-target)').addHelpText('after', NOTES)
  addFlagOptions(command, ROUTER_FLAGS)
  return command.action(async (model: string | undefined) => {
    const config = await readRouterConfig(givenFlags(command, model), context)
    const { runRouter } = await import('../../cluster/router-process.ts')
    process.exitCode = await runRouter(config)
  })
}
