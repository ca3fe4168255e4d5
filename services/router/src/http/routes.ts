// Paths to handlers: finds the route, checks the key, answers errors.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { DEFAULT_LIMITS } from '../front-door/options.ts'
import type { FrontDoorLimits, HttpFrontDoorOptions } from '../front-door/options.ts'
import { REQUEST_ID_HEADER, bearerCheck, requestIdOf } from '../front-door/request-headers.ts'
import type { HeaderReader } from '../front-door/request-headers.ts'
import { ClientGone, answerAndLinger, readJsonObject } from './body.ts'
import { detokenize, getModel, listModels, tokenize } from './endpoints.ts'
import { HttpError, sendError, sendJson, toHttpError } from './http-error.ts'
import { generate } from './openai/generate.ts'
import { parseChat, parseCompletion } from './openai/request.ts'
import type { GenerationPlan, RequestSource } from './openai/request.ts'

type Body = Readonly<Record<string, unknown>>

interface Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly requestId: string
  /** What follows the route's path, decoded; empty for exact routes. */
  readonly rest: string
}

interface Route {
  readonly method: 'GET' | 'POST'
  /** True: served without an API key, for probes and scrapers. */
  readonly open: boolean
  handle(exchange: Exchange): void | Promise<void>
}

const MODEL_PREFIX = '/v1/models/'
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

function headerReader(req: IncomingMessage): HeaderReader {
  return (name) => {
    const value = req.headers[name]
    return Array.isArray(value) ? value[0] : value
  }
}

function get(open: boolean, answer: (exchange: Exchange) => object): Route {
  return { method: 'GET', open, handle: (exchange) => sendJson(exchange.res, 200, answer(exchange)) }
}

function healthRoute(options: HttpFrontDoorOptions): Route {
  const handle = ({ res }: Exchange): void => {
    const ready = options.router.ready()
    sendJson(res, ready ? 200 : 503, { status: ready ? 'ok' : 'no instance can serve' })
  }
  return { method: 'GET', open: true, handle }
}

function metricsRoute(options: HttpFrontDoorOptions): Route {
  const handle = ({ res }: Exchange): void => {
    const body = Buffer.from(options.metrics())
    res.writeHead(200, { 'content-type': METRICS_TYPE, 'content-length': body.length })
    res.end(body)
  }
  return { method: 'GET', open: true, handle }
}

type Planner = (body: Body, source: RequestSource) => GenerationPlan

function routeTable(options: HttpFrontDoorOptions, limits: FrontDoorLimits): ReadonlyMap<string, Route> {
  const { router, log } = options
  const post = (answer: (body: Body) => Promise<object>): Route => ({
    method: 'POST',
    open: false,
    handle: async ({ req, res }) => sendJson(res, 200, await answer(await readJsonObject(req, limits.maxRequestBytes))),
  })
  const generation = (plan: Planner): Route => ({
    method: 'POST',
    open: false,
    handle: async ({ req, res, requestId }) => {
      const readHeader = headerReader(req)
      const body = await readJsonObject(req, limits.maxRequestBytes)
      const planned = plan(body, { router, readHeader, requestId, maxPrompts: limits.maxPrompts })
      res.setHeader(REQUEST_ID_HEADER, planned.requestId)
      generate(planned, res, { router, limits, log })
    },
  })
  return new Map<string, Route>([
    ['/v1/models', get(false, () => listModels(router))],
    [MODEL_PREFIX, get(false, ({ rest }) => getModel(router, rest))],
    ['/v1/completions', generation(parseCompletion)],
    ['/v1/chat/completions', generation(parseChat)],
    ['/tokenize', post((body) => tokenize(router, body))],
    ['/detokenize', post((body) => detokenize(router, body))],
    ['/health', healthRoute(options)],
    ['/livez', get(true, () => ({ status: 'ok' }))],
    ['/version', get(true, () => ({ version: options.version }))],
    ['/metrics', metricsRoute(options)],
  ])
}

/** Every path served, and whether it is open to callers without a key. `/v1/models/` stands for what follows it. */
export function listRoutes(options: HttpFrontDoorOptions): readonly { readonly path: string; readonly method: Route['method']; readonly open: boolean }[] {
  return [...routeTable(options, { ...DEFAULT_LIMITS, ...options.limits })].map(([path, { method, open }]) => ({ path, method, open }))
}

function notFound(method: string, path: string): HttpError {
  return new HttpError(404, { message: `Unknown endpoint: ${method} ${path}.`, type: 'invalid_request_error', param: null, code: 'unknown_endpoint' })
}

function decoded(rest: string, method: string, path: string): string {
  try {
    return decodeURIComponent(rest)
  } catch {
    throw notFound(method, path)
  }
}

function findRoute(table: ReadonlyMap<string, Route>, method: string, path: string): { route: Route; rest: string } {
  const isModel = path.startsWith(MODEL_PREFIX) && path.length > MODEL_PREFIX.length
  const route = isModel ? table.get(MODEL_PREFIX) : path === MODEL_PREFIX ? undefined : table.get(path)
  if (route === undefined) throw notFound(method, path)
  if (method !== route.method && !(method === 'HEAD' && route.method === 'GET')) {
    const message = `${path} takes ${route.method}, not ${method}.`
    throw new HttpError(405, { message, type: 'invalid_request_error', param: null, code: 'method_not_allowed' }, { allow: route.method === 'GET' ? 'GET, HEAD' : route.method })
  }
  return { route, rest: isModel ? decoded(path.slice(MODEL_PREFIX.length), method, path) : '' }
}

/** The request listener of the HTTP front door. */
export function createRequestListener(options: HttpFrontDoorOptions): (req: IncomingMessage, res: ServerResponse) => void {
  const limits: FrontDoorLimits = { ...DEFAULT_LIMITS, ...options.limits }
  const table = routeTable(options, limits)
  const checkKey = bearerCheck(options.apiKey)

  const serve = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const method = req.method ?? 'GET'
    const path = (req.url ?? '/').split('?', 1)[0] ?? '/'
    const requestId = requestIdOf(headerReader(req)(REQUEST_ID_HEADER), REQUEST_ID_HEADER)
    res.setHeader(REQUEST_ID_HEADER, requestId)
    const { route, rest } = findRoute(table, method, path)
    if (!route.open) checkKey(req.headers.authorization)
    await route.handle({ req, res, requestId, rest })
  }

  const refuse = (req: IncomingMessage, res: ServerResponse, error: unknown): void => {
    if (error instanceof ClientGone) return
    const answer = toHttpError(error)
    if (answer.status === 500) options.log.error({ err: error, path: req.url }, 'request failed')
    if (req.complete || req.method === 'GET' || req.method === 'HEAD') sendError(res, answer)
    else answerAndLinger(req, res, answer)
  }

  return (req, res) => {
    serve(req, res).catch((error: unknown) => refuse(req, res, error))
  }
}
