// The OpenAI-compatible HTTP server.
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { RubatoError } from '@rubato/config'
import type { FrontDoor, HttpFrontDoorOptions } from '../front-door/options.ts'
import { createRequestListener } from './routes.ts'

const BACKLOG = 1024
/** Above the idle time of common clients and load balancers, so that they never write to a socket we just closed. */
const KEEP_ALIVE_MS = 75_000
const HEADERS_TIMEOUT_MS = 20_000
const REQUEST_TIMEOUT_MS = 120_000

function listen(server: Server, options: HttpFrontDoorOptions): Promise<number> {
  const { host, port, portFlag = '--port' } = options
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE'
      const message = taken ? `HTTP port ${host}:${port} is taken: free it or choose another with ${portFlag}` : `cannot listen for HTTP on ${host}:${port}: ${error.message}`
      reject(new RubatoError(taken ? 'address_in_use' : 'bind_failed', message, { field: portFlag, cause: error }))
    })
    server.listen({ host, port, backlog: BACKLOG }, () => resolve((server.address() as AddressInfo).port))
  })
}

function closeServer(server: Server, deadlineMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), deadlineMs)
    server.close(() => {
      clearTimeout(timer)
      resolve()
    })
    server.closeIdleConnections()
  })
}

/** Starts serving. Throws RubatoError `address_in_use` (naming the flag) or `bind_failed`. */
export async function startHttpFrontDoor(options: HttpFrontDoorOptions): Promise<FrontDoor> {
  let closing: Promise<void> | null = null
  const serve = createRequestListener(options)
  const serverOptions = { noDelay: true, keepAlive: true, keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS }
  const tls = options.tls ?? null
  const server: Server = tls === null
    ? createServer(serverOptions)
    : createTlsServer({ ...serverOptions, cert: tls.cert, key: tls.key, ...(tls.clientCa === null ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }) })
  server.on('request', (req, res) => {
    // A kept-alive connection that answers its last request while we close must not wait for another one.
    if (closing !== null) res.setHeader('connection', 'close')
    res.once('close', () => {
      if (closing !== null) setImmediate(() => server.closeIdleConnections())
    })
    serve(req, res)
  })
  const port = await listen(server, options)
  server.on('error', (error) => options.log.error({ err: error }, 'HTTP server error'))
  return { port, close: (deadlineMs) => (closing ??= closeServer(server, deadlineMs)) }
}
