// The commands that do something, by the words that name them. Each loads its own code only when it is asked for: serving
// must not wait for the load generator, nor the other way round.
import type { Command } from 'commander'
import type { CliContext } from './context.ts'

export interface CommandEntry {
  readonly words: readonly string[]
  readonly summary: string
  /** A failure is thrown; a command that fails without one sets process.exitCode. */
  readonly load: (context: CliContext) => Promise<Command>
}

export const COMMANDS: readonly CommandEntry[] = [
  { words: ['serve'], summary: 'serve a model over HTTP (OpenAI) and gRPC', load: async (context) => (await import('./serve/command.ts')).serveCommand(context) },
  { words: ['bench', 'serve'], summary: 'drive any OpenAI-compatible or gRPC address and report', load: async () => (await import('../bench/serve/command.ts')).benchServeCommand() },
  { words: ['bench', 'engine'], summary: 'speed of the engine alone: decode, verify, prefill', load: async () => (await import('../bench/engine/command.ts')).benchEngineCommand() },
  { words: ['bench', 'identity'], summary: 'replay requests under different schedules and compare tokens', load: async () => (await import('../bench/identity/command.ts')).benchIdentityCommand() },
  { words: ['bench', 'batching'], summary: 'token gaps under long prompts, for each batching policy', load: async (context) => (await import('../bench/batching/command.ts')).benchBatchingCommand(context) },
  { words: ['model', 'inspect'], summary: 'what a checkpoint is, and whether it can be served', load: async (context) => (await import('./model/inspect-command.ts')).modelInspectCommand(context) },
  { words: ['model', 'check'], summary: 'load a checkpoint and continue one prompt', load: async (context) => (await import('./model/check-command.ts')).modelCheckCommand(context) },
  { words: ['doctor'], summary: 'what works on this machine, and how to fix what does not', load: async (context) => (await import('./doctor/command.ts')).doctorCommand(context) },
]

export const GROUP_SUMMARIES: Readonly<Record<string, string>> = { bench: 'measure servers and engines', model: 'look at and try checkpoints' }
