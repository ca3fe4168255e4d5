// A TCP proxy that breaks links on purpose: cuts them, stalls them, slows them down, flips bytes on their way from the server to the
// client.
//
// 1. What the client sends always gets through while the link lives; faults concern the server's bytes and whole links.
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

export interface TcpProxyOptions {
  readonly targetPort: number
  /** Default: 127.0.0.1. */
  readonly targetHost?: string
}

interface ProxiedLink {
  readonly client: Socket
  readonly server: Socket
  /** Bytes from the server, so far. */
  numBytes: number
}

/** Ends a connection with a reset. One that is ending already is only closed: libuv then refuses the reset, and the handle would stay. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

export class TcpProxy {
  /** `127.0.0.1:port` to connect to instead of the target. */
  readonly address: string
  readonly port: number
  readonly #listener: Server
  readonly #links = new Set<ProxiedLink>()
  /** Also those of links that one side has left. */
  readonly #sockets = new Set<Socket>()
  #numLinks = 0
  #isPaused = false
  #cutAt: number | null = null
  #corruptAt: number | null = null
  #delayMs = 0

  private constructor(listener: Server, { targetPort, targetHost = '127.0.0.1' }: TcpProxyOptions) {
    this.#listener = listener
    this.port = (listener.address() as AddressInfo).port
    this.address = `127.0.0.1:${this.port}`
    listener.on('connection', (client) => this.#join(client, connect(targetPort, targetHost)))
  }

  /** Listens on a free loopback port. */
  static async start(options: TcpProxyOptions): Promise<TcpProxy> {
    const listener = createServer()
    await new Promise<void>((resolve, reject) => listener.once('error', reject).listen(0, '127.0.0.1', resolve))
    return new TcpProxy(listener, options)
  }

  /** Links accepted so far. */
  get numLinks(): number {
    return this.#numLinks
  }

  get numLiveLinks(): number {
    return this.#links.size
  }

  /** Resets every link there is; new ones are accepted. */
  cut(): void {
    for (const link of this.#links) this.#end(link)
  }

  /** Resets each link once this many of its server's bytes came; null: no longer. */
  cutAfter(numBytes: number | null): void {
    this.#cutAt = numBytes
  }

  /** Flips the bits of the n-th byte, from 0, that the server sends on a link; once, on the first link to get there. */
  corruptByteAt(n: number): void {
    this.#corruptAt = n
  }

  /** What the servers send from now on arrives this much later. */
  delay(delayMs: number): void {
    this.#delayMs = delayMs
  }

  /** Takes nothing more from the servers, so that they feel a client that does not read. */
  pause(): void {
    this.#isPaused = true
    for (const { server } of this.#links) server.pause()
  }

  resume(): void {
    this.#isPaused = false
    for (const { server } of this.#links) server.resume()
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) reset(socket)
    await new Promise((resolve) => this.#listener.close(resolve))
  }

  #join(client: Socket, server: Socket): void {
    const link: ProxiedLink = { client, server, numBytes: 0 }
    this.#links.add(link)
    this.#numLinks++
    for (const [socket, other] of [[client, server], [server, client]] as const) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => this.#end(link)).on('close', () => {
        this.#sockets.delete(socket)
        this.#links.delete(link)
        if (socket === server) this.#later(() => other.end())
        else other.end()
      })
    }
    client.pipe(server)
    server.on('data', (chunk) => this.#forward(link, chunk)).on('end', () => this.#later(() => client.end()))
    client.on('drain', () => {
      if (!this.#isPaused) server.resume()
    })
    if (this.#isPaused) server.pause()
  }

  #forward(link: ProxiedLink, chunk: Buffer): void {
    const at = link.numBytes
    link.numBytes += chunk.byteLength
    const corrupt = this.#corruptAt
    if (corrupt !== null && corrupt >= at && corrupt < link.numBytes) {
      chunk[corrupt - at]! ^= 0xff
      this.#corruptAt = null
    }
    if (this.#cutAt !== null && link.numBytes >= this.#cutAt) return this.#end(link)
    this.#later(() => {
      if (link.client.writable && !link.client.write(chunk)) link.server.pause()
    })
  }

  /** What the client sees of the server. */
  #later(deliver: () => void): void {
    if (this.#delayMs === 0) deliver()
    else setTimeout(deliver, this.#delayMs)
  }

  #end(link: ProxiedLink): void {
    if (!this.#links.delete(link)) return
    reset(link.client)
    reset(link.server)
  }
}
