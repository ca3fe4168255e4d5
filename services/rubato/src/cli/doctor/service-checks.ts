// What serving needs besides the engine: packages, models, a cache directory, free ports, a valid configuration.
import { access, constants, mkdir, mkdtemp, rmdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import path from 'node:path'
import type { ServeConfig } from '@rubato/config'
import { describeCheckpoint } from '@rubato/model/checkpoint'
import type { CliContext } from '../context.ts'
import { readServeConfig } from '../serve/read-config.ts'
import { ok, problem, reasonOf } from './finding.ts'
import type { Finding } from './finding.ts'

const BUNDLED_MODELS = ['shakespeare-target', 'shakespeare-draft'] as const
const NEEDED_PACKAGES = ['@huggingface/tokenizers', '@huggingface/jinja', '@grpc/grpc-js', '@grpc/proto-loader'] as const

/** What `rubato serve` would run on; where that is invalid, the finding says so and the bare defaults stand in for it. */
export async function configuration(context: CliContext, flags: Readonly<Record<string, unknown>>): Promise<{ finding: Finding; config: ServeConfig }> {
  const name = 'configuration'
  try {
    const config = await readServeConfig(flags, context)
    return { finding: ok(name, 'flags, environment and rubato.yaml are valid'), config }
  } catch (error) {
    const field = error instanceof Error && 'field' in error ? `${String(error.field)}: ` : ''
    const config = await readServeConfig({ config: '/dev/null' }, { ...context, env: {} })
    return { finding: problem('failed', name, field + reasonOf(error), 'correct that variable or file'), config }
  }
}

export async function packages(): Promise<Finding[]> {
  return Promise.all(
    NEEDED_PACKAGES.map(async (name) => {
      try {
        await import(name)
        return ok(name, 'loads')
      } catch (error) {
        return problem('failed', name, `does not load: ${reasonOf(error)}`, 'npm install')
      }
    }),
  )
}

export async function bundledModels({ repoRoot }: CliContext): Promise<Finding[]> {
  return Promise.all(
    BUNDLED_MODELS.map(async (name) => {
      const { supported, problems, dir } = await describeCheckpoint(path.join(repoRoot, 'models', name))
      return supported ? ok(`model ${name}`, dir) : problem('failed', `model ${name}`, problems.join('; '), 'restore the models folder: git checkout models')
    }),
  )
}

export async function cacheDir({ cacheDir: folder }: ServeConfig): Promise<Finding> {
  try {
    await mkdir(folder, { recursive: true })
    await access(folder, constants.W_OK)
    await rmdir(await mkdtemp(path.join(folder, 'doctor-')))
    return ok('cache directory', folder)
  } catch (error) {
    return problem('failed', 'cache directory', `cannot write ${folder}: ${reasonOf(error)}`, 'choose another with --cache-dir or RUBATO_CACHE_DIR')
  }
}

/** Whether a process could join the cluster that --nats names; nothing to say without one. */
export async function natsReachable({ link }: ServeConfig): Promise<Finding[]> {
  if (link === null) return []
  const name = 'NATS'
  const { openNats } = await import('@rubato/runtime')
  const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
  try {
    const nats = await openNats(link.nats, 'rubato-doctor', silent)
    await nats.close()
    return [ok(name, `${link.nats.servers.join(', ')} answers and has JetStream`)]
  } catch (error) {
    return [problem('failed', name, reasonOf(error), 'correct --nats and its credentials, or start nats-server -js there')]
  }
}

export async function ports({ host, httpPort, grpcPort }: ServeConfig): Promise<Finding[]> {
  return Promise.all([portFree('HTTP port', host, httpPort, '--port'), portFree('gRPC port', host, grpcPort, '--grpc-port')])
}

function portFree(name: string, host: string, port: number, flag: string): Promise<Finding> {
  const { promise, resolve } = Promise.withResolvers<Finding>()
  const server = createServer()
  server.once('error', (error: NodeJS.ErrnoException) => {
    const what = error.code === 'EADDRINUSE' ? 'is taken' : `cannot be used: ${error.message}`
    resolve(problem('warning', name, `${host}:${port} ${what}`, `end what listens there, or choose another with ${flag}`))
  })
  server.listen(port, host, () => server.close(() => resolve(ok(name, `${host}:${port} is free`))))
  return promise
}
