// An OpenAI-compatible server for tests: records what is asked and answers as the test says.
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface AskedRequest {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Readonly<Record<string, unknown>>
}

/** `call` counts generation requests from 0. */
export type AnswerScript = (res: ServerResponse, asked: AskedRequest, call: number) => void

export interface ScriptedServer {
  readonly baseUrl: string
  readonly asked: readonly AskedRequest[]
  close(): Promise<void>
}

export function streamEvents(res: ServerResponse, events: readonly (object | string)[]): void {
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  for (const event of events) res.write(`data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`)
}

/** Three tokens in two chunks, with usage at the end; text or chat by the path asked. */
export function answerThreeTokens(res: ServerResponse, asked: AskedRequest): void {
  const isChat = asked.path.includes('chat')
  const ids = (tokenIds: readonly number[]): object => (asked.body['return_token_ids'] === true ? { token_ids: tokenIds } : {})
  const choice = (text: string, tokenIds: readonly number[], finish: string | null): object => ({
    choices: [{ index: 0, ...(isChat ? { delta: { content: text } } : { text }), finish_reason: finish, ...ids(tokenIds) }],
  })
  streamEvents(res, [choice('to be', [21, 22], null), choice(' or', [23], 'length'), { choices: [], usage: { prompt_tokens: 7, completion_tokens: 3 } }, '[DONE]'])
  res.end()
}

export async function startScriptedServer(script: AnswerScript = answerThreeTokens): Promise<ScriptedServer> {
  const asked: AskedRequest[] = []
  const server = createServer((req, res) => {
    const parts: Buffer[] = []
    req.on('data', (part: Buffer) => parts.push(part))
    req.on('end', () => {
      if (req.method === 'GET') {
        res.setHeader('content-type', 'application/json')
        res.end(JSON.stringify({ object: 'list', data: [{ id: 'tiny/scripted' }] }))
        return
      }
      const request = { path: req.url ?? '', headers: req.headers, body: JSON.parse(Buffer.concat(parts).toString('utf8')) as Record<string, unknown> }
      asked.push(request)
      script(res, request, asked.length - 1)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () => new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    }),
  }
}
