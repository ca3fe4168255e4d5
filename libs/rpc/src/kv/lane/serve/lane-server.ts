// Where lanes come in: over the port that gRPC listens on, told apart by their first bytes, and on Linux over a socket of this
// machine, which costs the least.
//
// 1. With certificates every lane over the network is mutual TLS. A lane over the local socket proves by a ticket that its peer was
//    told of the socket over such a lane; the socket's name exists only in this machine's (or container's) network namespace.
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import process from 'node:process'
import { createServer as createTlsServer } from 'node:tls'
import type { Server as TlsServer } from 'node:tls'
import type { KvTls } from '../../kv-tls.ts'
import { encodeLocalDoor, localPath } from '../local-door.ts'
import type { LocalDoor } from '../local-door.ts'
import { serveLane } from './served-lane.ts'
import type { ServedTransfers } from './served-transfers.ts'

export interface LaneServerOptions {
  readonly transfers: ServedTransfers
  readonly tls: KvTls | null
  /** Whether peers on this machine may come in by a local socket, where there can be one. */
  readonly isLocalAllowed: boolean
}

const NOTHING = new Uint8Array(0)

export class LaneServer {
  readonly #options: LaneServerOptions
  readonly #sockets = new Set<Socket>()
  readonly #tlsServer: TlsServer | null
  readonly #door: LocalDoor | null
  readonly #local: Server | null

  private constructor(options: LaneServerOptions, door: LocalDoor | null, local: Server | null) {
    this.#options = options
    this.#door = door
    this.#local = local
    const { tls } = options
    this.#tlsServer = tls === null ? null : createTlsServer({ cert: tls.cert, key: tls.key, ca: tls.ca, requestCert: true, rejectUnauthorized: true })
    this.#tlsServer?.on('secureConnection', (socket) => this.#serve(socket, false))
    local?.on('connection', (socket) => this.#serveLocal(socket))
  }

  static async start(options: LaneServerOptions): Promise<LaneServer> {
    if (!options.isLocalAllowed || process.platform !== 'linux') return new LaneServer(options, null, null)
    const door = { path: localPath(randomBytes(16)), ticket: randomBytes(32) }
    const local = createServer()
    const isListening = await new Promise<boolean>((resolve) => {
      local.once('error', () => resolve(false))
      local.listen(door.path, () => resolve(true))
    })
    return isListening ? new LaneServer(options, door, local) : new LaneServer(options, null, null)
  }

  /** A connection whose preamble has been read. */
  accept(socket: Socket): void {
    this.#keep(socket)
    if (this.#tlsServer === null) this.#serve(socket, true)
    else this.#tlsServer.emit('connection', socket)
  }

  /** Ends every lane. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    if (this.#local !== null) await new Promise((resolve) => this.#local!.close(resolve))
  }

  #serve(socket: Socket, isSummed: boolean): void {
    this.#keep(socket)
    const greet = (): Uint8Array => (this.#door === null ? NOTHING : encodeLocalDoor(this.#door))
    serveLane(socket, { transfers: this.#options.transfers, isSummed, peer: `${socket.remoteAddress}:${socket.remotePort}`, greet })
  }

  #serveLocal(socket: Socket): void {
    this.#keep(socket)
    const { ticket } = this.#door!
    const greet = (given: Uint8Array): Uint8Array => {
      if (given.byteLength !== ticket.byteLength || !timingSafeEqual(given, ticket)) throw new Error('this ticket opens nothing')
      return NOTHING
    }
    serveLane(socket, { transfers: this.#options.transfers, isSummed: false, peer: 'local', greet })
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.setNoDelay?.(true)
    socket.once('close', () => this.#sockets.delete(socket))
  }
}
