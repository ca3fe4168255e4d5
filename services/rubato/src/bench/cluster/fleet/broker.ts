// A nats-server of the benchmark's own: loopback only, a free port, JetStream in a folder that is thrown away.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { RubatoError } from '@rubato/config'
import { spawnTracked } from './service-process.ts'
import type { Environment } from './service-process.ts'

const FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/usr/bin']
const START_TIMEOUT_MS = 10_000

/** Path of the binary: as given, else NATS_SERVER, else on the path. Throws RubatoError `not_found` that says how to get it. */
export function findNatsServer(given: string | null, env: Environment): string {
  const named = given ?? (env['NATS_SERVER'] || null)
  if (named !== null) return named
  const found = [...(env['PATH'] ?? '').split(':'), ...FOLDERS].map((folder) => path.join(folder, 'nats-server')).find((file) => existsSync(file))
  if (found === undefined) throw new RubatoError('not_found', 'nats-server is not installed: install it with your package manager, or name it with --nats-server FILE')
  return found
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

export class Broker {
  readonly port: number
  readonly #binary: string
  readonly #config: string
  readonly #env: Environment
  #child: ChildProcess | null = null

  private constructor(binary: string, config: string, port: number, env: Environment) {
    this.#binary = binary
    this.#config = config
    this.#env = env
    this.port = port
  }

  /** Its configuration and JetStream's files lie in the folder. Rejects with RubatoError `unavailable`. */
  static async start(folder: string, binary: string, env: Environment): Promise<Broker> {
    const port = await freePort()
    const config = path.join(folder, 'nats.conf')
    writeFileSync(config, `host: 127.0.0.1\nport: ${port}\nmax_payload: 8MB\njetstream { store_dir: ${JSON.stringify(path.join(folder, 'jetstream'))} }\n`)
    const broker = new Broker(binary, config, port, env)
    await broker.#start()
    return broker
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  /** Killed without a word, then started anew on the same port. What it held in memory is gone. */
  async restart(downMs: number): Promise<void> {
    await this.stop()
    await delay(downMs)
    await this.#start()
  }

  async stop(): Promise<void> {
    const child = this.#child
    this.#child = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  async #start(): Promise<void> {
    const child = spawnTracked(this.#binary, ['-c', this.#config], this.#env)
    child.stdout!.resume()
    let errors = ''
    child.stderr!.setEncoding('utf8').on('data', (part: string) => (errors = (errors + part).slice(-2000)))
    this.#child = child
    const endMs = performance.now() + START_TIMEOUT_MS
    while (!(await answers(this.port))) {
      if (child.exitCode !== null || performance.now() > endMs) throw new RubatoError('unavailable', `nats-server did not start:\n${errors}`)
      await delay(20)
    }
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    const settle = (result: boolean): void => {
      socket.destroy()
      resolve(result)
    }
    socket.once('data', () => settle(true)).once('error', () => settle(false))
  })
}
