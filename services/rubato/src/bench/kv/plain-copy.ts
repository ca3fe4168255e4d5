// What KV transfers are compared with: as many bytes over one TCP connection that stays open, without frames, tokens or checksums,
// read right into memory that was touched before.
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket, TcpSocketConnectOpts } from 'node:net'

const REQUEST_BYTES = 8

/** Answers each request, a number of bytes, with as many of `source`. Listens on a free loopback port. */
export async function servePlain(source: Buffer): Promise<{ readonly port: number; readonly server: Server }> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', (request: Buffer) => socket.write(source.subarray(0, request.readDoubleLE(0))))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, server }
}

export class PlainCopy {
  readonly #memory: Uint8Array
  readonly #socket: Socket
  #numLeft = 0
  #done: () => void = () => {}

  /** For copies of `maxBytes` at most. */
  constructor(port: number, maxBytes: number) {
    this.#memory = new Uint8Array(new SharedArrayBuffer(maxBytes)).fill(1)
    const onread = {
      // Never empty, also before anything was asked for.
      buffer: () => (this.#numLeft === 0 ? this.#memory : this.#memory.subarray(this.#memory.byteLength - this.#numLeft)),
      callback: (numBytes: number) => {
        this.#numLeft -= numBytes
        if (this.#numLeft === 0) this.#done()
        return true
      },
    }
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true, onread } as unknown as TcpSocketConnectOpts)
  }

  /** Milliseconds until the last byte was there. One at a time. */
  async pull(numBytes: number): Promise<number> {
    const startedMs = performance.now()
    const request = Buffer.alloc(REQUEST_BYTES)
    request.writeDoubleLE(numBytes)
    this.#numLeft = numBytes
    await new Promise<void>((resolve, reject) => {
      this.#done = resolve
      this.#socket.once('error', reject)
      this.#socket.write(request)
    })
    this.#socket.removeAllListeners('error')
    return performance.now() - startedMs
  }

  close(): void {
    this.#socket.destroy()
  }
}
