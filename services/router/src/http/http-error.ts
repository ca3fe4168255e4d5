// Failures in OpenAI's error shape, with their HTTP status.
import type { ServerResponse } from 'node:http'
import type { ClientError, ClientErrorCode } from '../client.ts'
import { clientErrorOf } from '../front-door/request-group.ts'

export interface OpenAiError {
  readonly message: string
  readonly type: string
  readonly param: string | null
  readonly code: string | null
}

/** Thrown by a route to answer with this status; everything else that a route throws is mapped by clientErrorOf. */
export class HttpError extends Error {
  readonly status: number
  readonly body: OpenAiError
  readonly headers: Readonly<Record<string, string>>
  constructor(status: number, body: OpenAiError, headers: Readonly<Record<string, string>> = {}) {
    super(body.message)
    this.name = 'HttpError'
    this.status = status
    this.body = body
    this.headers = headers
  }
}

const STATUS_AND_TYPE: Readonly<Record<ClientErrorCode, readonly [status: number, type: string]>> = {
  invalid_argument: [400, 'invalid_request_error'],
  unauthenticated: [401, 'invalid_request_error'],
  not_found: [404, 'invalid_request_error'],
  already_exists: [409, 'invalid_request_error'],
  resource_exhausted: [429, 'rate_limit_error'],
  internal: [500, 'server_error'],
  unavailable: [503, 'server_error'],
  cancelled: [503, 'server_error'],
  deadline_exceeded: [504, 'server_error'],
}

/** OpenAI's names where its clients look for them. */
const CODE_OF_REASON: ReadonlyMap<string, string> = new Map([
  ['not_found', 'model_not_found'],
  ['unauthenticated', 'invalid_api_key'],
  ['invalid_argument', 'invalid_value'],
])

const DEFAULT_RETRY_MS = 1000

/** A field of the gRPC vocabulary in the request's own: `sampling.top_p` is `top_p`. */
function paramOf(field: string | null): string | null {
  if (field === null) return null
  return field === 'token_ids' ? 'prompt' : field.replace(/^sampling\./, '')
}

export function openAiErrorOf(error: ClientError): OpenAiError {
  const [, type] = STATUS_AND_TYPE[error.code]
  return { message: error.message, type, param: paramOf(error.field), code: CODE_OF_REASON.get(error.reason) ?? error.reason }
}

/** Any failure as an answer; 429 and 503 carry Retry-After (whole seconds) and retry-after-ms. */
export function httpErrorOf(error: ClientError): HttpError {
  const [status] = STATUS_AND_TYPE[error.code]
  const headers: Record<string, string> = {}
  if (status === 429 || status === 503) {
    const retryAfterMs = Math.max(1, Math.ceil(error.retryAfterMs ?? DEFAULT_RETRY_MS))
    headers['retry-after'] = String(Math.ceil(retryAfterMs / 1000))
    headers['retry-after-ms'] = String(retryAfterMs)
  }
  if (status === 401) headers['www-authenticate'] = 'Bearer'
  return new HttpError(status, openAiErrorOf(error), headers)
}

export function toHttpError(error: unknown): HttpError {
  return error instanceof HttpError ? error : httpErrorOf(clientErrorOf(error))
}

/** Answers once; does nothing when an answer was begun or the client left. */
export function sendJson(res: ServerResponse, status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): void {
  if (res.headersSent || res.destroyed) return
  const body = Buffer.from(JSON.stringify(value))
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length, ...headers })
  res.end(body)
}

export function sendError(res: ServerResponse, error: HttpError): void {
  sendJson(res, error.status, { error: error.body }, error.headers)
}
