// `rubato serve`: flags in, one resolved record out to the embedded cluster.
import process from 'node:process'
import { SERVE_FLAGS } from '@rubato/config/commands'
import { Command } from 'commander'
import type { CliContext } from '../context.ts'
import { readServeConfig } from './read-config.ts'
import { addFlagOptions, givenFlags } from './flag-options.ts'

const NOTES = `
Every flag can also be set as RUBATO_<FLAG> (RUBATO_PORT=9000) or in rubato.yaml (port: 9000);
the command line wins over the environment, the environment over the file.

Examples:
  rubato serve
  rubato serve ./Qwen3-0.6B --served-model-name qwen --quantization int8
  rubato serve --prefill 1 --decode 2 --placement disaggregated
  rubato serve --host 0.0.0.0 --api-key "$KEY" --max-num-seqs 32 --max-model-len 4096`

export function serveCommand(context: CliContext): Command {
  const command = new Command('serve').description('Serves a model over HTTP (OpenAI) and gRPC: router and instances in one process.')
  command.argument('[MODEL]', 'checkpoint directory (default: the bundled shakespeare-target)').addHelpText('after', NOTES)
  addFlagOptions(command, SERVE_FLAGS)
  return command.action(async (model: string | undefined) => {
    const config = await readServeConfig(givenFlags(command, model), context)
    const { serve } = await import('../../embedded/serve.ts')
    process.exitCode = await serve(config)
  })
}
