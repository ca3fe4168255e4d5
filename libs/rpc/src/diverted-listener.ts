// One port for gRPC and for a protocol of ours: connections that begin with its preamble go there, all others to the gRPC server.
import { createServer } from 'node:net'
import type { Server as NetServer, Socket } from 'node:net'
import type { Server, ServerCredentials } from '@grpc/grpc-js'

export interface Divert {
  /** At most as long as what every gRPC connection begins with, with or without TLS. */
  readonly preamble: Uint8Array
  /** A connection that began with the preamble, which has been read. */
  readonly take: (socket: Socket) => void
}

/** A connection says what it is within this time. */
const SILENT_MS = 10_000

export interface DivertedListener {
  readonly port: number
  /** Accepts no more; what the gRPC server got is its own. */
  close(): void
}

/** Listens for both. Rejects with what listening failed with. */
export function listenDiverted(server: Server, credentials: ServerCredentials, { preamble, take }: Divert, address: { readonly host: string; readonly port: number }): Promise<DivertedListener> {
  const injector = server.createConnectionInjector(credentials)
  const waiting = new Set<Socket>()
  const listener = createServer({ noDelay: true }, (socket) => {
    waiting.add(socket)
    const timer = setTimeout(() => socket.destroy(), SILENT_MS)
    const done = (): void => {
      clearTimeout(timer)
      waiting.delete(socket)
      socket.off('readable', onReadable).off('close', done).off('error', ignore)
    }
    const onReadable = (): void => {
      const bytes = socket.read() as Buffer | null
      if (bytes === null) return
      socket.unshift(bytes)
      if (bytes.byteLength < preamble.byteLength) return
      done()
      if (!bytes.subarray(0, preamble.byteLength).equals(preamble)) return injector.injectConnection(socket)
      socket.read(preamble.byteLength)
      take(socket)
    }
    const ignore = (): void => {}
    socket.on('readable', onReadable).on('close', done).on('error', ignore)
  })
  return listening(listener, address).then((port) => ({
    port,
    close: () => {
      listener.close()
      for (const socket of waiting) socket.destroy()
    },
  }))
}

function listening(listener: NetServer, { host, port }: { readonly host: string; readonly port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    listener.once('error', reject)
    listener.listen(port, host, () => {
      listener.off('error', reject)
      resolve((listener.address() as { port: number }).port)
    })
  })
}
