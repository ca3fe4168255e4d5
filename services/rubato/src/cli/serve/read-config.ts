// Reads what the configuration is made of - file, environment, machine - and hands it to the resolver.
import { readFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { InvalidArgument } from '@rubato/config'
import type { ServeConfig } from '@rubato/config'
import { configFilePath, resolveServeConfig } from '@rubato/config/serve'
import type { ConfigFile, Machine } from '@rubato/config/serve'
import type { CliContext } from '../context.ts'

const DEFAULT_FILE = 'rubato.yaml'

/** Throws InvalidArgument naming the flag, variable or file at fault. */
export async function readServeConfig(flags: Readonly<Record<string, unknown>>, { env, repoRoot }: CliContext): Promise<ServeConfig> {
  const named = configFilePath({ flags, env })
  const file = await readConfigFile(path.resolve(named ?? DEFAULT_FILE), named !== null)
  return resolveServeConfig({ flags, env, file, machine: thisMachine(repoRoot) })
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
  }
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
