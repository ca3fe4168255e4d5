// Reads and parses a JSON request body: size first, then UTF-8, then JSON, then well-formed strings.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { FieldError, findLoneSurrogate, pathText } from '../front-door/field-error.ts'
import { HttpError } from './http-error.ts'

/** How long, and how much of, a refused upload is still read so that its sender can see the answer. */
const LINGER_MS = 2000
const LINGER_BYTES = 64 * 1024 * 1024

function badBody(message: string, status = 400): HttpError {
  return new HttpError(status, { message, type: 'invalid_request_error', param: null, code: 'invalid_body' })
}

function tooLarge(maxBytes: number): HttpError {
  const message = `The request body is larger than ${maxBytes} bytes.`
  return new HttpError(413, { message, type: 'invalid_request_error', param: null, code: 'request_too_large' }, { connection: 'close' })
}

/** Thrown when the client went away while it was sending. Nobody is left to answer. */
export class ClientGone extends Error {}

function readBytes(req: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let sizeBytes = 0
    const onData = (chunk: Buffer): void => {
      sizeBytes += chunk.length
      if (sizeBytes > maxBytes) {
        req.off('data', onData)
        reject(tooLarge(maxBytes))
      } else {
        chunks.push(chunk)
      }
    }
    req.on('data', onData)
    req.once('end', () => resolve(Buffer.concat(chunks)))
    req.once('close', () => reject(new ClientGone('the client left before its request was complete')))
    req.once('error', () => reject(new ClientGone('the connection failed before the request was complete')))
  })
}

function parse(bytes: Buffer): unknown {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw badBody('The request body is not valid UTF-8.')
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw badBody(`The request body is not valid JSON: ${error instanceof Error ? error.message : 'syntax error'}`)
  }
  // Only an escape can make a lone surrogate: the text itself is valid UTF-8.
  const lone = /\\u[dD][89a-fA-F]/.test(text) ? findLoneSurrogate(value) : null
  if (lone !== null) {
    const field = pathText(lone)
    throw new FieldError(field, `Invalid '${field}': the text has a lone surrogate (\\ud800 to \\udfff without its other half), which is no Unicode character.`)
  }
  return value
}

/** The body as a JSON object, whatever its content type says. Throws HttpError 413, 415 or 400, or ClientGone. */
export async function readJsonObject(req: IncomingMessage, maxBytes: number): Promise<Readonly<Record<string, unknown>>> {
  const encoding = req.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') throw badBody(`content-encoding '${encoding}' is not supported: send the body uncompressed.`, 415)
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes)
  const value = parse(await readBytes(req, maxBytes))
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badBody('The request body must be a JSON object.')
  return value as Record<string, unknown>
}

/** Answers a request whose body is still arriving: closing at once would reset the connection under the answer. */
export function answerAndLinger(req: IncomingMessage, res: ServerResponse, error: HttpError): void {
  if (res.headersSent || res.destroyed) return
  const body = Buffer.from(JSON.stringify({ error: error.body }))
  res.writeHead(error.status, { 'content-type': 'application/json', 'content-length': body.length, ...error.headers })
  res.write(body)
  let leftBytes = LINGER_BYTES
  const timer = setTimeout(() => res.end(), LINGER_MS)
  timer.unref()
  req.on('data', (chunk: Buffer) => {
    leftBytes -= chunk.length
    if (leftBytes <= 0) res.end()
  })
  req.once('end', () => res.end())
  res.once('close', () => clearTimeout(timer))
  req.resume()
}
