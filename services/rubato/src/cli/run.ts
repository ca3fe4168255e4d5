// From the words of the command line to the exit code: 0 done, 1 failed while running, 2 asked for wrongly.
import path from 'node:path'
import process from 'node:process'
import type { Command } from 'commander'
import { COMMANDS } from './commands.ts'
import type { CommandEntry } from './commands.ts'
import type { CliContext } from './context.ts'
import { reportFailure } from './failure.ts'
import { overviewCommand } from './overview.ts'

const REPO_ROOT = path.resolve(import.meta.dirname, '../../../..')

/** Runs one command to its end. Never throws; says on stderr what went wrong. */
export async function runCli(argv: readonly string[], env: CliContext['env']): Promise<number> {
  const words = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv
  const context: CliContext = { env, repoRoot: REPO_ROOT, print: (text) => process.stdout.write(`${text}\n`) }
  try {
    const entry = COMMANDS.find((candidate) => candidate.words.every((word, index) => words[index] === word))
    if (entry === undefined) await run(overviewCommand(), words)
    else await run(await load(entry, context), words.slice(entry.words.length))
    return Number(process.exitCode ?? 0)
  } catch (error) {
    return reportFailure(error, { argv, env })
  }
}

async function load(entry: CommandEntry, context: CliContext): Promise<Command> {
  const command = await entry.load(context)
  return command.name(['rubato', ...entry.words].join(' ')).helpCommand(false)
}

async function run(command: Command, args: readonly string[]): Promise<void> {
  for (const each of [command, ...command.commands]) {
    // A suggestion stands on a line of its own otherwise.
    each.exitOverride().configureOutput({ outputError: (text, write) => write(`${text.trimEnd().replaceAll('\n', ' ')}\n`) })
  }
  await command.parseAsync([...args], { from: 'user' })
}
