// `rubato` without a command that does something: help, version, and a hint at the command that was probably meant.
import { Command } from 'commander'
import { version } from '../version.ts'
import { COMMANDS, GROUP_SUMMARIES } from './commands.ts'

const EXAMPLES = `
Examples:
  rubato serve                              the bundled model on http://127.0.0.1:8000
  rubato serve ./Qwen3-0.6B --port 9000     a Hugging Face directory
  rubato model inspect ./Qwen3-0.6B         can it be served?
  rubato doctor                             what works on this machine

rubato <command> --help explains the flags of each.`

/** The tree of commands by name only; the commands themselves are never run from it. */
export function overviewCommand(): Command {
  const program = new Command('rubato').description('Serves language models: every request carries its own tempo.')
  program.version(version, '-V, --version').addHelpText('after', EXAMPLES).helpCommand(false)
  for (const { words, summary } of COMMANDS) {
    const [first = '', second] = words
    if (second === undefined) program.command(first).description(summary)
    else groupOf(program, first).command(second).description(summary)
  }
  return program
}

function groupOf(program: Command, name: string): Command {
  const existing = program.commands.find((command) => command.name() === name)
  return existing ?? program.command(name).description(GROUP_SUMMARIES[name] ?? '').helpCommand(false)
}
