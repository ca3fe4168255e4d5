// Reads what the configuration is made of - file, environment, machine - and hands it to the resolver.
import { readFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { InvalidArgument } from '@rubato/config'
import type { InstanceProcessConfig, MigratorProcessConfig, RouterProcessConfig, ServeConfig, SpeculatorProcessConfig } from '@rubato/config'
import { configFilePath, resolveInstanceConfig, resolveMigratorConfig, resolveRouterConfig, resolveServeConfig, resolveSpeculatorConfig } from '@rubato/config/commands'
import type { ConfigFile, ConfigSources, Machine } from '@rubato/config/commands'
import type { CliContext } from '../context.ts'

const DEFAULT_FILE = 'rubato.yaml'

/** What was given on the command line, by flag name. */
type Flags = Readonly<Record<string, unknown>>

/** This and the four below throw InvalidArgument naming the flag, variable or file at fault. */
export async function readServeConfig(flags: Flags, context: CliContext): Promise<ServeConfig> {
  return resolveServeConfig(await readSources(flags, context))
}

export async function readRouterConfig(flags: Flags, context: CliContext): Promise<RouterProcessConfig> {
  return resolveRouterConfig(await readSources(flags, context))
}

export async function readInstanceConfig(flags: Flags, context: CliContext, role: 'prefill' | 'decode'): Promise<InstanceProcessConfig> {
  return resolveInstanceConfig(await readSources(flags, context), role)
}

export async function readMigratorConfig(flags: Flags, context: CliContext): Promise<MigratorProcessConfig> {
  return resolveMigratorConfig(await readSources(flags, context))
}

export async function readSpeculatorConfig(flags: Flags, context: CliContext): Promise<SpeculatorProcessConfig> {
  return resolveSpeculatorConfig(await readSources(flags, context))
}

async function readSources(flags: Flags, { env, repoRoot }: CliContext): Promise<ConfigSources> {
  const named = configFilePath({ flags, env })
  const file = await readConfigFile(path.resolve(named ?? DEFAULT_FILE), named !== null)
  return { flags, env, file, machine: thisMachine(repoRoot) }
}

function thisMachine(repoRoot: string): Machine {
  // 0 or a huge number where no limit (of a container, say) is set.
  const limitBytes = process.constrainedMemory() || os.totalmem()
  return {
    availableParallelism: os.availableParallelism(),
    totalMemoryBytes: Math.min(os.totalmem(), limitBytes),
    homeDir: os.homedir(),
    repoRoot,
    cwd: process.cwd(),
    hostName: os.hostname(),
    processId: process.pid,
    addresses: reachableAddresses(),
  }
}

/** IPv4 first; link-local addresses need an interface to be of use, so they are left out. */
function reachableAddresses(): string[] {
  const all = Object.values(os.networkInterfaces()).flatMap((infos) => infos ?? [])
  const usable = all.filter(({ internal, address }) => !internal && !/^(fe80:|169\.254\.)/i.test(address))
  return [...usable.filter(({ family }) => family === 'IPv4'), ...usable.filter(({ family }) => family === 'IPv6')].map(({ address }) => address)
}

async function readConfigFile(file: string, required: boolean): Promise<ConfigFile | null> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (!required && cause.code === 'ENOENT') return null
    throw new InvalidArgument('config', `cannot read ${file}: ${cause.message}`, { cause })
  })
  return text === null ? null : { path: file, values: await parseYaml(text, file) }
}

/** The parser is loaded only when there is something to parse. */
async function parseYaml(text: string, file: string): Promise<Readonly<Record<string, unknown>>> {
  const { parse } = await import('yaml')
  let values: unknown
  try {
    values = parse(text)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0]?.replace(/:$/, '') : String(cause)
    throw new InvalidArgument('config', `${file} is not valid YAML: ${reason}`, { cause })
  }
  if (values === null) return {}
  if (typeof values !== 'object' || Array.isArray(values)) throw new InvalidArgument('config', `${file} must hold flags as "name: value" lines`)
  return values as Record<string, unknown>
}
