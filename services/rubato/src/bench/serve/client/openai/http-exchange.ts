// One HTTP exchange whose answer is handed on as it arrives. Connections are kept and reused.
import { request as httpRequest } from 'node:http'
import type { Agent, ClientRequest, IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'

export interface HttpExchange {
  readonly method: 'GET' | 'POST'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
  readonly agent: Agent
  readonly signal: AbortSignal
  /** Gets the bytes of an answer of status 200. */
  readonly onBytes: (bytes: Buffer) => void
}

export type ExchangeEnd =
  | { readonly kind: 'answered'; readonly contentType: string }
  | { readonly kind: 'refused'; readonly status: number; readonly body: string }
  | { readonly kind: 'failed'; readonly message: string }

const MAX_REFUSAL_BYTES = 65_536

function readAnswer(res: IncomingMessage, exchange: HttpExchange, settle: (end: ExchangeEnd) => void): void {
  const refusal: Buffer[] = []
  let refusalBytes = 0
  const isOk = res.statusCode === 200
  res.on('data', (bytes: Buffer) => {
    if (isOk) exchange.onBytes(bytes)
    else if (refusalBytes < MAX_REFUSAL_BYTES) refusal.push(bytes)
    refusalBytes += bytes.length
  })
  res.on('end', () => {
    settle(isOk
      ? { kind: 'answered', contentType: res.headers['content-type'] ?? '' }
      : { kind: 'refused', status: res.statusCode ?? 0, body: Buffer.concat(refusal).toString('utf8') })
  })
  res.on('error', (error) => settle({ kind: 'failed', message: `connection lost: ${error.message}` }))
}

function messageOf(error: NodeJS.ErrnoException, url: URL): string {
  return error.code === 'ECONNREFUSED' ? `cannot connect to ${url.host}: connection refused` : `cannot reach ${url.host}: ${error.message || (error.code ?? 'unknown error')}`
}

/** Never rejects. */
export function exchangeHttp(exchange: HttpExchange): Promise<ExchangeEnd> {
  const { method, url, headers, body, agent, signal } = exchange
  const open = url.protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((settle) => {
    let answered = false
    const req: ClientRequest = open(url, { method, headers, agent, signal }, (res) => {
      answered = true
      readAnswer(res, exchange, settle)
    })
    req.setNoDelay(true)
    req.on('error', (error: NodeJS.ErrnoException) => {
      // The server may close a kept connection just as we write to it; nothing was answered, so that asking again is safe.
      if (req.reusedSocket && error.code === 'ECONNRESET' && !answered && !signal.aborted) settle(exchangeHttp(exchange))
      else settle({ kind: 'failed', message: messageOf(error, url) })
    })
    req.end(body ?? undefined)
  })
}
