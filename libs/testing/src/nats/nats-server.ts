// A private nats-server for tests: own port on loopback, own folder, own configuration. Never the machine's 4222.
//
// 1. It does not outlive the test process, however that ends: a shell holds it, and kills it when the pipe to here closes.
import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import path from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { temporaryFolder } from '../temporary-folder.ts'

export interface NatsServerOptions {
  /** @default true */
  readonly jetStream?: boolean
  /** @default 8 MiB */
  readonly maxPayloadBytes?: number
  /** Whom it lets in. @default everybody */
  readonly user?: { readonly name: string; readonly password: string }
  /** More lines of its configuration, e.g. of TLS. */
  readonly config?: readonly string[]
}

/** A test's context, or a whole file: `{ after }` of node:test. */
export interface TestEnd {
  after(hook: () => unknown): void
}

export interface NatsServer {
  /** `nats://127.0.0.1:port`, the same after a restart. */
  readonly url: string
  /** Signals it; resolves when it is gone, or at once for SIGSTOP and SIGCONT. @default SIGKILL */
  kill(signal?: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): Promise<void>
  /** Kills it if need be and starts it again on the same port; what memory held is lost. Resolves when it answers. */
  restart(): Promise<void>
}

type Holder = ChildProcessByStdio<Writable, Readable, null>

interface Running {
  readonly holder: Holder
  readonly pid: number
}

/** Starts a server that answers, and kills it after the test. Rejects when there is no nats-server on this machine. */
export async function startNatsServer(test: TestEnd, options: NatsServerOptions = {}): Promise<NatsServer> {
  const port = await freePort()
  let running: Running | null = null
  const kill: NatsServer['kill'] = async (signal = 'SIGKILL') => {
    if (running === null) return
    process.kill(running.pid, signal)
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') return
    const { holder } = running
    running = null
    while (await answers(port)) await sleep(5)
    await release(holder)
  }
  // Hooks run in the order given: the server goes before its folder.
  test.after(() => kill())
  const folder = temporaryFolder(test)
  const config = path.join(folder, 'nats.conf')
  writeFileSync(config, configText(folder, port, options))
  const start = (): Promise<Running> => startProcess(['-c', config, '-l', path.join(folder, 'nats.log')], port)
  running = await start()
  return {
    url: `nats://127.0.0.1:${port}`,
    kill,
    restart: async () => {
      await kill()
      running = await start()
    },
  }
}

function configText(folder: string, port: number, { jetStream = true, maxPayloadBytes = 8 * 1024 * 1024, user, config = [] }: NatsServerOptions): string {
  return [
    `listen: "127.0.0.1:${port}"`,
    `max_payload: ${maxPayloadBytes}`,
    `write_deadline: "2s"`,
    ...(jetStream ? [`jetstream { store_dir: ${JSON.stringify(path.join(folder, 'jetstream'))} }`] : []),
    ...(user === undefined ? [] : [`authorization { user: ${JSON.stringify(user.name)}, password: ${JSON.stringify(user.password)} }`]),
    ...config,
  ].join('\n')
}

function findBinary(): string {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin', '/usr/local/bin']
  const found = [process.env['NATS_SERVER'] ?? '', ...folders.map((folder) => path.join(folder, 'nats-server'))].find((file) => file !== '' && existsSync(file))
  if (found === undefined) throw new Error('nats-server is not installed: install it with your package manager, or set NATS_SERVER=/path/to/nats-server')
  return found
}

/** The server is not reaped before the holder ends, so that its pid cannot have become another process's. */
const HOLD = '"$@" & pid=$!; echo $pid; read -r _; kill -9 $pid; wait $pid'

async function startProcess(args: readonly string[], port: number): Promise<Running> {
  const holder = spawn('/bin/sh', ['-c', HOLD, 'sh', findBinary(), ...args], { stdio: ['pipe', 'pipe', 'ignore'] })
  holder.stdin.on('error', () => {})
  const pid = await new Promise<number>((resolve, reject) => {
    holder.once('error', reject)
    holder.stdout.once('data', (text: Buffer) => resolve(Number(text.toString())))
  })
  const giveUpMs = performance.now() + 10_000
  while (!await answers(port)) {
    if (performance.now() > giveUpMs) {
      await release(holder)
      throw new Error(`nats-server does not answer on port ${port}`)
    }
    await sleep(5)
  }
  return { holder, pid }
}

function release(holder: Holder): Promise<void> {
  return new Promise((resolve) => {
    holder.once('exit', () => resolve())
    holder.stdin.end()
  })
}

/** A server greets whoever connects. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const settle = (value: boolean): void => {
      socket.destroy()
      resolve(value)
    }
    socket.setTimeout(1000, () => settle(false))
    socket.once('data', () => settle(true))
    socket.once('error', () => settle(false))
    socket.once('close', () => settle(false))
  })
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}
