// `rubato model check`: proves that a checkpoint loads here and produces text.
import { existsSync } from 'node:fs'
import process from 'node:process'
import { InvalidArgument, RubatoError } from '@rubato/config'
import { describeCheckpoint } from '@rubato/model/checkpoint'
import { Command } from 'commander'
import { byteText } from '../byte-text.ts'
import type { CliContext } from '../context.ts'
import { readServeConfig } from '../serve/read-config.ts'
import { addFlagOptions, givenFlags, serveFlags } from '../serve/flag-options.ts'
import { renderTable } from '../table.ts'
import { continueGreedily } from './greedy-continuation.ts'
import type { Continuation } from './greedy-continuation.ts'

export function modelCheckCommand(context: CliContext): Command {
  const command = new Command('check').description('Loads a checkpoint as serving would and continues one short prompt greedily.')
  command.argument('<DIR>', 'Hugging Face checkpoint directory')
  addFlagOptions(command, serveFlags('quantization', 'block-size', 'prefill-cell-tokens', 'intra-op-threads', 'cache-dir', 'log-level'))
  return command.action(async (dir: string) => {
    if (!existsSync(dir)) throw new InvalidArgument('DIR', `${dir} does not exist; give a local Hugging Face checkpoint directory`)
    const config = await readServeConfig(givenFlags(command, dir), context)
    const report = await describeCheckpoint(config.modelDir)
    if (!report.supported) throw new RubatoError('checkpoint', `${config.modelDir} cannot be served: ${report.problems.join('; ')}`)
    context.print(renderContinuation(await continueGreedily(config)))
  })
}

function renderContinuation(continuation: Continuation): string {
  const { prompt, text, numTokens, loadMs, prefillMs, decodeMs } = continuation
  const perSecond = decodeMs === 0 ? '' : ` (${(((numTokens - 1) * 1000) / decodeMs).toFixed(1)} tokens/s)`
  return renderTable([
    ['prompt', JSON.stringify(prompt)],
    ['continuation', JSON.stringify(text)],
    ['tokens', String(numTokens)],
    ['load', `${loadMs.toFixed(0)} ms`],
    ['first token', `${prefillMs.toFixed(1)} ms`],
    ['the others', `${decodeMs.toFixed(1)} ms${perSecond}`],
    ['memory', byteText(process.memoryUsage.rss())],
    ['model fingerprint', continuation.modelFingerprint],
  ])
}
