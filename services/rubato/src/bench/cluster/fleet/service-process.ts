// One of our service processes as a child of the benchmark: started with the flags a user would give, ended by its pid.
//
// 1. A child never outlives this process as long as that ends by itself or by a signal it can hear.
// 2. After a restart it has the ports that it had before, so that clients find it again.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { RubatoError } from '@rubato/config'
import type { ProbeAnswer, ProbeQuestion } from './probe.ts'

export type ServiceKind = 'router' | 'prefill' | 'decode'

export interface ServiceOptions {
  readonly kind: ServiceKind
  /** Its --instance-id. */
  readonly name: string
  /** Flags beside --instance-id and those of its ports. */
  readonly flags: readonly string[]
  /** Port flags of the first start: any free ones. */
  readonly firstPorts: readonly string[]
  /** Its standard error and output are appended to `NAME.log` there. */
  readonly logFolder: string
  readonly env: Environment
  /** Node's own flags. @default none */
  readonly nodeArgs?: readonly string[]
  /** Runs the probe in it, which `ask` talks to. @default false */
  readonly isProbed?: boolean
}

const MAIN = path.resolve(import.meta.dirname, '../../../main.ts')
const READY_TIMEOUT_MS = 120_000
const TAIL_LINES = 12
const PROBE = pathToFileURL(path.join(import.meta.dirname, 'probe.ts')).href
const ANSWER_TIMEOUT_MS = 30_000

/** Children that run, of all fleets: killed when this process exits. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export type Environment = Readonly<Record<string, string | undefined>>

/** Starts a child that is killed when this process exits. It gets none of our own settings. */
export function spawnTracked(file: string, args: readonly string[], env: Environment, hasChannel = false): ChildProcess {
  const inherited = Object.entries(env).filter(([name]) => !name.startsWith('RUBATO_') && name !== 'NODE_OPTIONS')
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe', ...(hasChannel ? (['ipc'] as const) : [])], env: Object.fromEntries(inherited) })
  running.add(child)
  child.once('exit', () => running.delete(child))
  child.once('error', () => running.delete(child))
  return child
}

export class ServiceProcess {
  readonly options: ServiceOptions
  #child: ChildProcess | null = null
  #readyLine = ''
  #ports: readonly string[]
  numStarts = 0

  constructor(options: ServiceOptions) {
    this.options = options
    this.#ports = options.firstPorts
  }

  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  get isRunning(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** What the process has used. One question at a time; rejects after 30 s, and where the process is not probed. */
  async ask(question: ProbeQuestion): Promise<ProbeAnswer> {
    const child = this.#child
    if (child?.connected !== true) throw new RubatoError('internal', `${this.options.name} has no probe`)
    child.send(question)
    const [answer] = (await once(child, 'message', { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) })) as [ProbeAnswer]
    return answer
  }

  /** HOST:PORT of a router's gRPC door. */
  get grpcAddress(): string {
    return this.#address(/grpcs?:\/\/(\S+)/)
  }

  /** HOST:PORT of the listener that has /metrics. */
  get metricsAddress(): string {
    return this.#address(this.options.kind === 'router' ? /https?:\/\/(\S+)/ : /metrics=(\S+)/)
  }

  /** Resolves once it said that it is ready. Rejects with RubatoError `unavailable` and the end of its log. */
  async start(): Promise<void> {
    const { kind, name, flags, logFolder, env, nodeArgs = [], isProbed = false } = this.options
    const child = spawnTracked(process.execPath, [...(isProbed ? ['--import', PROBE] : []), ...nodeArgs, MAIN, kind, '--instance-id', name, ...flags, ...this.#ports], env, isProbed)
    this.#child = child
    this.numStarts++
    const log = createWriteStream(path.join(logFolder, `${name}.log`), { flags: 'a' })
    const tail: string[] = []
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => {
        log.write(`${line}\n`)
        tail.push(line)
        if (tail.length > TAIL_LINES) tail.shift()
        if (line.startsWith(`rubato ${kind} ready `)) resolve(line)
      })
    }
    const fail = (why: string): void => reject(new RubatoError('unavailable', `${name} ${why}; the end of its log:\n${tail.join('\n')}`))
    child.once('exit', (code, signal) => fail(`ended with ${signal ?? code}`))
    child.once('error', (error) => fail(error.message))
    const limit = setTimeout(() => fail(`was not ready within ${READY_TIMEOUT_MS / 1000} s`), READY_TIMEOUT_MS)
    try {
      this.#readyLine = await promise
    } finally {
      clearTimeout(limit)
    }
    this.#ports = this.#portFlags()
  }

  signal(signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal)
  }

  /** Ends it: by SIGTERM, and by SIGKILL when that takes longer than the limit. Resolves with its exit code or the signal that ended it. */
  async stop(limitMs: number): Promise<number | string> {
    const child = this.#child
    if (child === null) return 0
    if (this.isRunning) {
      const exited = once(child, 'exit')
      child.kill(limitMs > 0 ? 'SIGTERM' : 'SIGKILL')
      const limit = setTimeout(() => child.kill('SIGKILL'), limitMs)
      await exited
      clearTimeout(limit)
    }
    return child.exitCode ?? child.signalCode ?? 0
  }

  #address(pattern: RegExp): string {
    const address = pattern.exec(this.#readyLine)?.[1]
    if (address === undefined) throw new RubatoError('internal', `${this.options.name}: no address in "${this.#readyLine}"`)
    return address
  }

  #portFlags(): string[] {
    const portOf = (address: string): string => address.slice(address.lastIndexOf(':') + 1)
    if (this.options.kind === 'router') return ['--port', portOf(this.metricsAddress), '--grpc-port', portOf(this.grpcAddress)]
    return ['--kv-port', portOf(this.#address(/kv=(\S+)/)), '--metrics-port', portOf(this.metricsAddress)]
  }
}
