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
  { words: ['router'], summary: 'one router of a cluster over NATS', load: async (context) => (await import('./serve/router-command.ts')).routerCommand(context) },
  { words: ['prefill'], summary: 'one instance of a cluster, meant for prompts', load: async (context) => (await import('./serve/instance-command.ts')).instanceCommand(context, 'prefill') },
  { words: ['decode'], summary: 'one instance of a cluster, meant for tokens', load: async (context) => (await import('./serve/instance-command.ts')).instanceCommand(context, 'decode') },
  { words: ['speculator'], summary: 'a draft model that the instances of a cluster share', load: async (context) => (await import('./serve/speculator-command.ts')).speculatorCommand(context) },
  { words: ['migrator'], summary: 'moves running requests between the instances of a cluster', load: async (context) => (await import('./serve/migrator-command.ts')).migratorCommand(context) },
  { words: ['simulate'], summary: 'run a scenario on the simulated cluster', load: async (context) => (await import('./simulate/command.ts')).simulateCommand(context) },
  { words: ['plan', 'fleet'], summary: 'the cheapest mix of accelerator types for a load', load: async (context) => (await import('./plan/fleet-command.ts')).planFleetCommand(context) },
  { words: ['plan', 'placement'], summary: 'how to split GPUs between prefill and decode', load: async (context) => (await import('./plan/placement-command.ts')).planPlacementCommand(context) },
  { words: ['bench', 'serve'], summary: 'drive any OpenAI-compatible or gRPC address and report', load: async () => (await import('../bench/serve/command.ts')).benchServeCommand() },
  { words: ['bench', 'engine'], summary: 'speed of the engine alone: decode, verify, prefill', load: async () => (await import('../bench/engine/command.ts')).benchEngineCommand() },
  { words: ['bench', 'kv'], summary: 'KV transfers between processes, and when they pay', load: async (context) => (await import('../bench/kv/command.ts')).benchKvCommand(context) },
  { words: ['bench', 'migration'], summary: 'downtime of requests that move between instances', load: async (context) => (await import('../bench/migration/command.ts')).benchMigrationCommand(context) },
  { words: ['bench', 'identity'], summary: 'replay requests under different schedules and compare tokens', load: async () => (await import('../bench/identity/command.ts')).benchIdentityCommand() },
  { words: ['bench', 'batching'], summary: 'token gaps under long prompts, for each batching policy', load: async (context) => (await import('../bench/batching/command.ts')).benchBatchingCommand(context) },
  { words: ['bench', 'speculation'], summary: 'tokens per second of CPU under each speculation policy', load: async (context) => (await import('../bench/speculation/command.ts')).benchSpeculationCommand(context) },
  { words: ['bench', 'router'], summary: 'CPU of a router per token and per request, memory over many requests', load: async (context) => (await import('../bench/router/command.ts')).benchRouterCommand(context) },
  { words: ['bench', 'cluster'], summary: 'a cluster of processes: speed, scale, rolling restarts, faults, soak', load: async (context) => (await import('../bench/cluster/command.ts')).benchClusterCommand(context) },
  { words: ['bench', 'isolation'], summary: 'decode steps beside prompts that are computed elsewhere; timing of KV hand-offs', load: async (context) => (await import('../bench/isolation/command.ts')).benchIsolationCommand(context) },
  { words: ['model', 'inspect'], summary: 'what a checkpoint is, and whether it can be served', load: async (context) => (await import('./model/inspect-command.ts')).modelInspectCommand(context) },
  { words: ['model', 'check'], summary: 'load a checkpoint and continue one prompt', load: async (context) => (await import('./model/check-command.ts')).modelCheckCommand(context) },
  { words: ['doctor'], summary: 'what works on this machine, and how to fix what does not', load: async (context) => (await import('./doctor/command.ts')).doctorCommand(context) },
]

export const GROUP_SUMMARIES: Readonly<Record<string, string>> = { bench: 'measure servers and engines', plan: 'what to rent and how to place it', model: 'look at and try checkpoints' }
