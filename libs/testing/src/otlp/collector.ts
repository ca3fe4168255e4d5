// An OTLP collector for tests: a real HTTP server that keeps the spans posted to it.
import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { decodeSpans } from './trace-schema.ts'
import type { CollectedSpan } from './trace-schema.ts'

export interface OtlpCollector {
  /** For --otlp-traces-endpoint. */
  readonly url: string
  /** In order of arrival. */
  readonly spans: readonly CollectedSpan[]
  /** Headers of each post. */
  readonly posts: readonly IncomingHttpHeaders[]
  /** Status of the answers from now on; anything but 200 keeps no spans. */
  answerWith(status: number): void
  /** Resolves with all spans once there are so many that match. */
  waitFor(matches: (span: CollectedSpan) => boolean, numSpans?: number): Promise<readonly CollectedSpan[]>
  close(): Promise<void>
}

const PATH = '/v1/traces'

/** Listens on a free port of 127.0.0.1. */
export async function startOtlpCollector(): Promise<OtlpCollector> {
  const spans: CollectedSpan[] = []
  const posts: IncomingHttpHeaders[] = []
  const arrivals = new EventEmitter()
  let status = 200
  const take = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const body = await buffer(req)
    posts.push(req.headers)
    const isTrace = req.url === PATH && req.method === 'POST' && req.headers['content-type'] === 'application/x-protobuf'
    const answer = isTrace ? status : 404
    if (answer === 200) spans.push(...decodeSpans(req.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body))
    res.writeHead(answer, { 'content-type': 'application/x-protobuf' }).end()
    arrivals.emit('post')
  }
  const server = createServer((req, res) => {
    take(req, res).catch((error: unknown) => res.writeHead(400).end(String(error)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${PATH}`,
    spans,
    posts,
    answerWith: (next) => {
      status = next
    },
    waitFor: async (matches, numSpans = 1) => {
      while (spans.filter(matches).length < numSpans) await once(arrivals, 'post')
      return [...spans]
    },
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
