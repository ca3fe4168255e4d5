// Services as users run them: real processes with free ports, waited for by their ready line, killed by pid at the test's
// end. Their logs are shown when the test fails.
//
// 1. No process outlives the test process, however that ends: a shell holds each, and kills it when the pipe to here closes.
// 2. None starts once its test is over, whoever still goes on there.
import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { createInterface } from 'node:readline'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { temporaryFolder } from '@rubato/testing'
import { PROFILE_FILE } from './cluster.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')
/** On a machine that others keep busy, too. */
const READY_TIMEOUT_MS = 120_000
const MAX_LOG_LINES = 400
const NEEDS_NO_CACHE = new Set(['migrator', 'speculator'])

export interface Service {
  readonly name: string
  readonly pid: number
  /** Its ready line. */
  readonly ready: string
  /** `http://127.0.0.1:port`; null: it has no such door. Likewise gRPC (`host:port`). */
  readonly http: string | null
  readonly grpc: string | null
  /** What the ready line says as `name=value`: instance, kv, metrics, admin, ... */
  readonly fields: Readonly<Record<string, string>>
  /** Exit code; 128 + n where signal n ended it. */
  readonly exited: Promise<number>
  signal(signal: NodeJS.Signals): void
  /** SIGTERM, and its exit code. */
  stop(): Promise<number>
  /** What it wrote so far, both streams. */
  log(): string
}

export interface ServicesOptions {
  /** null: processes without a cluster. */
  readonly natsUrl: string | null
  readonly cluster?: string
  /** Of every process that takes them. */
  readonly modelFlags?: readonly string[]
  /** Beside RUBATO_SPECULATION=off: with speculation equal tokens are promised up to near ties only, and int8 ones are not. */
  readonly env?: Readonly<Record<string, string>>
}

const MODEL_FLAGS = ['--max-model-len', '1024']
const ENGINE_FLAGS = ['--profile', PROFILE_FILE, '--kv-cache-memory-bytes', '96MiB', '--intra-op-threads', '1']

type Holder = ChildProcessByStdio<Writable, Readable, Readable>

/** The service is not reaped before the holder says its exit code, so that its pid cannot have become another process's. */
const HOLD = 'exec 4<&0; "$@" </dev/null 4<&- & pid=$!; (read -r _ <&4; kill -9 $pid) & reader=$!; exec 4<&-; echo "pid $pid"; wait $pid; code=$?; kill $reader; exit $code'

/** Starts services for one test. */
export class Services {
  readonly #options: ServicesOptions
  readonly #cacheDir: string
  readonly #running = new Map<Holder, Log>()
  #isOver = false

  constructor(test: TestContext, options: ServicesOptions) {
    this.#options = options
    // Hooks run in the order given: processes go before their folder.
    test.after(async () => {
      this.#isOver = true
      // Missing in the type declarations.
      if (!(test as TestContext & { readonly passed: boolean }).passed) for (const log of this.#running.values()) process.stderr.write(`--- ${log.name}\n${log.text()}\n`)
      await Promise.all([...this.#running.keys()].map(release))
    })
    this.#cacheDir = temporaryFolder(test)
  }

  router(name: string, flags: readonly string[] = []): Promise<Service> {
    return this.start(name, ['router', ...this.#member(name), '--port', '0', '--grpc-port', '0', '--admin-port', '0', ...this.#model(), ...flags])
  }

  prefill(name: string, flags: readonly string[] = []): Promise<Service> {
    return this.start(name, ['prefill', ...this.#member(name), ...this.#model(), ...ENGINE_FLAGS, ...flags])
  }

  decode(name: string, flags: readonly string[] = []): Promise<Service> {
    return this.start(name, ['decode', ...this.#member(name), ...this.#model(), ...ENGINE_FLAGS, ...flags])
  }

  migrator(name: string, flags: readonly string[] = []): Promise<Service> {
    return this.start(name, ['migrator', ...this.#member(name), ...flags])
  }

  speculator(name: string, flags: readonly string[] = []): Promise<Service> {
    return this.start(name, ['speculator', ...this.#member(name), ...flags])
  }

  serve(name: string, flags: readonly string[] = []): Promise<Service> {
    return this.start(name, ['serve', '--port', '0', '--grpc-port', '0', ...this.#model(), ...ENGINE_FLAGS, ...flags])
  }

  /** Any `rubato` command that prints a ready line. Rejects with its log when it ends, or takes too long, before that. */
  async start(name: string, args: readonly string[]): Promise<Service> {
    if (this.#isOver) throw new Error(`${name} is started after the end of its test`)
    const argv = ['-c', HOLD, 'sh', process.execPath, path.join(ROOT, 'services/rubato/src/main.ts'), ...args, ...(NEEDS_NO_CACHE.has(args[0] ?? '') ? [] : ['--cache-dir', this.#cacheDir]), ...(args.includes('--log-level') ? [] : ['--log-level', 'info'])]
    const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith('RUBATO_') && !key.startsWith('OTEL_') && key !== 'NODE_OPTIONS')
    const holder = spawn('/bin/sh', argv, { cwd: ROOT, env: { ...Object.fromEntries(inherited), RUBATO_SPECULATION: 'off', ...this.#options.env }, stdio: ['pipe', 'pipe', 'pipe'] })
    holder.stdin.on('error', () => {})
    const log = new Log(name)
    this.#running.set(holder, log)
    return serviceOf(holder, log)
  }

  #member(name: string): string[] {
    const { natsUrl, cluster = 'test' } = this.#options
    return natsUrl === null ? [] : ['--nats', natsUrl, '--cluster', cluster, '--instance-id', name]
  }

  #model(): readonly string[] {
    return this.#options.modelFlags ?? MODEL_FLAGS
  }
}

/** The latest lines of one process. */
class Log {
  readonly name: string
  readonly #lines: string[] = []

  constructor(name: string) {
    this.name = name
  }

  add(line: string): void {
    this.#lines.push(line)
    if (this.#lines.length > MAX_LOG_LINES) this.#lines.shift()
  }

  text(): string {
    return this.#lines.join('\n')
  }
}

async function serviceOf(holder: Holder, log: Log): Promise<Service> {
  const { name } = log
  const exit = Promise.withResolvers<number>()
  holder.once('exit', (code) => exit.resolve(code ?? 137))
  createInterface({ input: holder.stderr }).on('line', (line) => log.add(line))
  const ready = Promise.withResolvers<string>()
  let pid = 0
  createInterface({ input: holder.stdout }).on('line', (line) => {
    const said = /^pid (\d+)$/.exec(line)
    if (said !== null) pid = Number(said[1])
    else log.add(line)
    if (/^rubato .*ready /.test(line)) ready.resolve(line)
  })
  const giveUp = (reason: string): void => ready.reject(new Error(`${name} ${reason}:\n${log.text()}`))
  const limit = setTimeout(() => giveUp(`was not ready within ${READY_TIMEOUT_MS / 1000} s`), READY_TIMEOUT_MS)
  void exit.promise.then((code) => giveUp(`ended with code ${code} before it was ready`))
  const line = await ready.promise.catch(async (error: unknown) => {
    // Whoever asked for it may start another one in its place.
    await release(holder)
    throw error
  }).finally(() => clearTimeout(limit))
  const signal = (which: NodeJS.Signals): void => {
    if (holder.exitCode !== null) return
    try {
      process.kill(pid, which)
    } catch (error) {
      // Its exit is on its way here.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
  return {
    name,
    pid,
    ready: line,
    http: /https?:\/\/\S+/.exec(line)?.[0] ?? null,
    grpc: /grpc:\/\/(\S+)/.exec(line)?.[1] ?? null,
    fields: Object.fromEntries([...line.matchAll(/(\w+)=(\S+)/g)].map(([, key, value]) => [key, value])) as Record<string, string>,
    exited: exit.promise,
    signal,
    stop: () => {
      signal('SIGTERM')
      return exit.promise
    },
    log: () => log.text(),
  }
}

/** Ends the holder, and with it the service; resolves once both are gone. */
function release(holder: Holder): Promise<void> {
  return new Promise((resolve) => {
    if (holder.exitCode !== null || holder.signalCode !== null) return resolve()
    holder.once('exit', () => resolve())
    holder.stdin.end()
  })
}
