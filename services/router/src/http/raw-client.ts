// A bare HTTP client for tests: says exactly what it is told to, and keeps nothing open.
import { request } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface RawRequest {
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

export interface RawAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export async function rawRequest(port: number, { method, path, headers = {}, body }: RawRequest): Promise<RawAnswer> {
  const req = request({ host: '127.0.0.1', port, method: method ?? (body === undefined ? 'GET' : 'POST'), path, headers, agent: false })
  const answered = once(req, 'response')
  // A server that refuses a large body answers before it has read it all.
  req.on('error', () => {})
  req.end(body)
  const [res] = await answered
  return { status: res.statusCode, headers: res.headers, text: (await buffer(res)).toString() }
}

/** The body of an answer in OpenAI's error shape. */
export function errorOf(answer: RawAnswer): { readonly message: string; readonly type: string; readonly param: string | null; readonly code: string } {
  return (JSON.parse(answer.text) as { error: { message: string; type: string; param: string | null; code: string } }).error
}

/** Sends a POST on a socket of its own and reads nothing. */
export async function openRawPost(port: number, path: string, body: object): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  const text = JSON.stringify(body)
  socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
  return socket
}

/** All `data:` payloads of a server-sent event stream. */
export function sseData(text: string): string[] {
  return sseEvents(text).map(({ data }) => data)
}

/** Every event of a server-sent event stream, with the id that a client remembers once it has it. */
export function sseEvents(text: string): { readonly id: string | null; readonly data: string }[] {
  let id: string | null = null
  return text.split('\n\n').flatMap((event) => {
    const lines = event.split('\n')
    id = lines.find((line) => line.startsWith('id: '))?.slice('id: '.length) ?? id
    return lines.filter((line) => line.startsWith('data: ')).map((line) => ({ id, data: line.slice('data: '.length) }))
  })
}
