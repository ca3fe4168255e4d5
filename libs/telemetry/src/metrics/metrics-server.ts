// A small HTTP listener for the probes and scrapers of a process that serves no clients: /metrics, /health, /livez.
// All three are open, as a router's are: they say nothing about requests.
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { RubatoError } from '@rubato/config'
import { METRICS_CONTENT_TYPE } from './prometheus-text.ts'

export interface MetricsServerOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** The flag that sets the port, for the message when it is taken. @default --metrics-port */
  readonly portFlag?: string
  /** The body of /metrics. */
  readonly render: () => string
  /** null: it can serve; else why not, the body of a 503 of /health. */
  readonly problem: () => string | null
  /** render() or problem() threw; the answer was 500. */
  readonly onError: (error: unknown) => void
}

export interface MetricsServer {
  readonly port: number
  /** Idempotent. */
  close(): Promise<void>
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly contentType: string
}

const REQUEST_TIMEOUT_MS = 10_000
const MAX_CONNECTIONS = 256

function json(status: number, body: object): Answer {
  return { status, body: JSON.stringify(body), contentType: 'application/json' }
}

function answerTo(path: string, { render, problem }: MetricsServerOptions): Answer {
  switch (path) {
    case '/metrics':
      return { status: 200, body: render(), contentType: METRICS_CONTENT_TYPE }
    case '/livez':
      return json(200, { status: 'ok' })
    case '/health': {
      const reason = problem()
      return reason === null ? json(200, { status: 'ok' }) : json(503, { status: reason })
    }
    default:
      return json(404, { error: `Unknown endpoint: ${path}.` })
  }
}

function handle(req: IncomingMessage, res: ServerResponse, options: MetricsServerOptions): void {
  let answer: Answer
  try {
    const isRead = req.method === 'GET' || req.method === 'HEAD'
    answer = isRead ? answerTo((req.url ?? '/').split('?', 1)[0] ?? '/', options) : json(405, { error: 'Only GET and HEAD.' })
  } catch (error) {
    options.onError(error)
    answer = json(500, { error: 'internal error' })
  }
  const { status, body, contentType } = answer
  res.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body), ...(status === 405 ? { allow: 'GET, HEAD', connection: 'close' } : {}) })
  res.end(req.method === 'HEAD' ? '' : body)
}

function listen(server: Server, { host, port, portFlag = '--metrics-port' }: MetricsServerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE'
      const message = taken ? `metrics port ${host}:${port} is taken: free it or choose another with ${portFlag}` : `cannot listen for metrics on ${host}:${port}: ${error.message}`
      reject(new RubatoError(taken ? 'address_in_use' : 'bind_failed', message, { field: portFlag, cause: error }))
    })
    server.listen({ host, port }, () => resolve((server.address() as AddressInfo).port))
  })
}

/** Starts listening. Throws RubatoError `address_in_use` (naming the flag) or `bind_failed`. */
export async function startMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS }, (req, res) => handle(req, res, options))
  server.maxConnections = MAX_CONNECTIONS
  const port = await listen(server, options)
  server.on('error', options.onError)
  let closing: Promise<void> | null = null
  const close = (): Promise<void> => new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
  return { port, close: () => (closing ??= close()) }
}
