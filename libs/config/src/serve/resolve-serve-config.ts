// From flags, environment and file to the one record that `rubato serve` runs on.
import path from 'node:path'
import { InvalidArgument } from '../errors.ts'
import type { Flag, FlagValue } from '../flags/flag.ts'
import { SERVE_FLAGS, SERVE_FLAG_NAMES } from './serve-flags.ts'
import type { ServeFlagName, ServeFlagValues } from './serve-flags.ts'
import { gatherValues } from './sources.ts'
import type { FlagSources, Given } from './sources.ts'
import type { ServeConfig } from '../serve-config.ts'

/** What defaults and relative paths depend on. */
export interface Machine {
  readonly availableParallelism: number
  readonly totalMemoryBytes: number
  readonly homeDir: string
  /** Folder that holds `models/`. */
  readonly repoRoot: string
  /** Relative paths of flags and variables start here. */
  readonly cwd: string
}

export interface ServeConfigSources extends FlagSources {
  readonly machine: Machine
}

const BUNDLED_MODEL = 'models/shakespeare-target'
const MAX_DEFAULT_THREADS = 8
const MAX_DEFAULT_KV_BYTES = 2 ** 30
const MAX_DEFAULT_KV_RATIO = 0.25

/**
 * Throws InvalidArgument whose field is the flag's name (or the unknown name as written) and whose message says where the
 * value came from and what to do.
 */
export function resolveServeConfig(sources: ServeConfigSources): ServeConfig {
  const { machine, env } = sources
  const given = gatherValues(sources, machine.cwd)
  const values = readValues(given, machine.homeDir)
  checkTogether(values, (name) => originText(given.get(name)))
  const modelDir = values.model ?? path.join(machine.repoRoot, BUNDLED_MODEL)
  return {
    modelDir,
    servedModelName: values['served-model-name'] ?? path.basename(modelDir),
    dtype: values.quantization === 'int8' ? 'int8' : 'float32',
    device: values.device,
    host: values.host,
    httpPort: values.port,
    grpcPort: values['grpc-port'],
    apiKey: values['api-key'],
    tls: tlsOf(values),
    ...schedulingOf(values),
    ...resourcesOf(values, machine, env),
    ...limitsOf(values),
    chatTemplate: values['chat-template'],
    generationConfig: values['generation-config'],
    seed: values.seed,
    logLevel: values['log-level'],
  }
}

/** `$XDG_CACHE_HOME/rubato`, else `~/.cache/rubato`; a relative XDG_CACHE_HOME counts as unset, as its specification says. */
export function defaultCacheDir(env: FlagSources['env'], homeDir: string): string {
  const xdg = env['XDG_CACHE_HOME'] ?? ''
  return path.join(path.isAbsolute(xdg) ? xdg : path.join(homeDir, '.cache'), 'rubato')
}

function readValues(given: ReadonlyMap<ServeFlagName, Given>, homeDir: string): ServeFlagValues {
  const read = (name: ServeFlagName): unknown => {
    const flag: Flag<FlagValue> = SERVE_FLAGS[name]
    const entry = given.get(name)
    return entry === undefined ? flag.fallback : readValue(name, flag, entry, homeDir)
  }
  return Object.fromEntries(SERVE_FLAG_NAMES.map((name) => [name, read(name)])) as unknown as ServeFlagValues
}

function readValue(name: string, { schema, isPath, secret }: Flag<FlagValue>, { value, origin, baseDir }: Given, homeDir: string): unknown {
  const { success, data, error } = schema.safeParse(value)
  if (!success) {
    const shown = secret === true ? '' : `${JSON.stringify(value)} `
    throw new InvalidArgument(name, `${shown}(from ${origin}): ${error.issues[0]?.message ?? 'is not valid'}`)
  }
  if (typeof data !== 'string' || isPath?.(data) !== true) return data
  return path.resolve(baseDir, data.replace(/^~(?=\/|$)/, homeDir))
}

type OriginOf = (name: ServeFlagName) => string

function originText(given: Given | undefined): string {
  return given === undefined ? 'the default' : `from ${given.origin}`
}

/** Rules over several flags. */
function checkTogether(values: ServeFlagValues, originOf: OriginOf): void {
  checkStepSizes(values, originOf)
  if (values.port !== 0 && values.port === values['grpc-port']) {
    throw new InvalidArgument('grpc-port', `${values.port} (${originOf('grpc-port')}) is also the HTTP port (${originOf('port')}); choose two different ports`)
  }
  if (!isLoopback(values.host) && values['api-key'] === null && !values.insecure) {
    throw new InvalidArgument('host', `${values.host} (${originOf('host')}) can be reached by others; set --api-key KEY, or --insecure to serve without one`)
  }
  for (const [has, needs] of [['ssl-certfile', 'ssl-keyfile'], ['ssl-keyfile', 'ssl-certfile'], ['ssl-ca-certs', 'ssl-certfile']] as const) {
    if (values[has] !== null && values[needs] === null) throw new InvalidArgument(needs, `is missing, but --${has} is given (${originOf(has)}); TLS needs --ssl-certfile and --ssl-keyfile`)
  }
}

function checkStepSizes(values: ServeFlagValues, originOf: OriginOf): void {
  const cellTokens = values['prefill-cell-tokens']
  if (cellTokens % values['block-size'] !== 0) {
    throw new InvalidArgument('prefill-cell-tokens', `${cellTokens} (${originOf('prefill-cell-tokens')}) must be a multiple of --block-size ${values['block-size']} (${originOf('block-size')})`)
  }
  const least = values['max-num-seqs'] + cellTokens
  if (values['max-num-batched-tokens'] < least) {
    throw new InvalidArgument(
      'max-num-batched-tokens',
      `${values['max-num-batched-tokens']} (${originOf('max-num-batched-tokens')}) is too few: a step must hold --max-num-seqs ${values['max-num-seqs']} and one cell of --prefill-cell-tokens ${cellTokens}; use at least ${least}, or lower those`,
    )
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

function tlsOf(values: ServeFlagValues): ServeConfig['tls'] {
  const certFile = values['ssl-certfile']
  const keyFile = values['ssl-keyfile']
  return certFile === null || keyFile === null ? null : { certFile, keyFile, caFile: values['ssl-ca-certs'] }
}

function schedulingOf(values: ServeFlagValues): Pick<ServeConfig, 'numMixed' | 'maxNumSeqs' | 'maxNumBatchedTokens' | 'maxModelLen' | 'blockSize' | 'prefillCellTokens' | 'enablePrefixCaching' | 'batching'> {
  return {
    numMixed: values.mixed,
    maxNumSeqs: values['max-num-seqs'],
    maxNumBatchedTokens: values['max-num-batched-tokens'],
    maxModelLen: values['max-model-len'],
    blockSize: values['block-size'],
    prefillCellTokens: values['prefill-cell-tokens'],
    enablePrefixCaching: values['enable-prefix-caching'],
    batching: values.batching,
  }
}

/** Instances share the machine: defaults divide cores and memory among them. */
function resourcesOf(values: ServeFlagValues, machine: Machine, env: FlagSources['env']): Pick<ServeConfig, 'kvCacheBytes' | 'intraOpThreads' | 'tokenizerThreads' | 'profile' | 'profileBudgetMs' | 'cacheDir'> {
  const memoryShare = Math.floor((machine.totalMemoryBytes * MAX_DEFAULT_KV_RATIO) / values.mixed)
  const coreShare = Math.max(1, Math.floor(machine.availableParallelism / values.mixed))
  return {
    kvCacheBytes: values['kv-cache-memory-bytes'] ?? Math.min(MAX_DEFAULT_KV_BYTES, memoryShare),
    intraOpThreads: values['intra-op-threads'] ?? Math.min(MAX_DEFAULT_THREADS, coreShare),
    tokenizerThreads: values['tokenizer-threads'],
    profile: values.profile,
    profileBudgetMs: values['profile-budget-secs'] * 1000,
    cacheDir: values['cache-dir'] ?? defaultCacheDir(env, machine.homeDir),
  }
}

function limitsOf(values: ServeFlagValues): Pick<ServeConfig, 'maxConcurrentRequests' | 'queueSize' | 'queueTimeoutMs' | 'migrationLimit' | 'shutdownTimeoutMs'> {
  return {
    maxConcurrentRequests: values['max-concurrent-requests'],
    queueSize: values['queue-size'],
    queueTimeoutMs: values['queue-timeout-secs'] * 1000,
    migrationLimit: values['migration-limit'],
    shutdownTimeoutMs: values['shutdown-timeout'] * 1000,
  }
}
