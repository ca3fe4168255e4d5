// Handlers of rubato.v1.Inference.
import type { Metadata, sendUnaryData } from '@grpc/grpc-js'
import { statusOf } from '@rubato/rpc'
import type { InferenceHandlers } from '@rubato/rpc'
import { DEFAULT_LIMITS } from '../front-door/options.ts'
import type { FrontDoorOptions } from '../front-door/options.ts'
import { RequestGroup, clientErrorOf } from '../front-door/request-group.ts'
import { bearerCheck, modelOf } from '../front-door/request-headers.ts'
import { GenerateCall, endWithFailure } from './generate-call.ts'
import type { GenerateStream } from './generate-call.ts'
import { checkTokenIds, metadataReader, toClientRequest, toTokenizeInput } from './request-mapping.ts'

export interface InferenceService {
  readonly handlers: InferenceHandlers
  /** Stops the stall watch. */
  close(): void
}

function remainingMs(call: GenerateStream): number | null {
  const deadline = Number(call.getDeadline())
  return Number.isFinite(deadline) ? Math.max(0, deadline - Date.now()) : null
}

/** Watches running calls for clients that take nothing. One timer for all of them, none per call or token. */
function stallWatch(calls: ReadonlySet<GenerateCall>, stallMs: number, onStall: (call: GenerateCall) => void): NodeJS.Timeout {
  const timer = setInterval(() => {
    for (const call of calls) if (call.isStalled()) onStall(call)
  }, Math.ceil(stallMs / 2))
  return timer.unref()
}

export function inferenceService(options: FrontDoorOptions): InferenceService {
  const { router, log } = options
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const checkKey = bearerCheck(options.apiKey)
  const calls = new Set<GenerateCall>()
  const watch = stallWatch(calls, limits.stallMs, (call) => {
    log.warn({ requestId: call.requestId, trace: call.trace }, 'client reads nothing: request cancelled')
    call.stall()
    calls.delete(call)
  })

  const authorize = (metadata: Metadata): void => checkKey(metadataReader(metadata)('authorization'))
  const failure = (error: unknown) => {
    const told = clientErrorOf(error)
    if (told.code === 'internal') log.error({ err: error }, 'call failed')
    return told
  }
  const unary = async <T>(metadata: Metadata, callback: sendUnaryData<T>, answer: () => T | Promise<T>): Promise<void> => {
    try {
      authorize(metadata)
      callback(null, await answer())
    } catch (error) {
      callback(statusOf(failure(error)))
    }
  }

  const generate = (call: GenerateStream): void => {
    authorize(call.metadata)
    const request = toClientRequest(call.request, { router, metadata: call.metadata, remainingMs: remainingMs(call) })
    const running = new GenerateCall(call, request.requestId, limits.maxBufferedBytes)
    const group = new RequestGroup(running)
    running.attach(group)
    calls.add(running)
    call.on('cancelled', () => {
      calls.delete(running)
      running.left()
    })
    group.start(router, [request])
  }

  const handlers: InferenceHandlers = {
    Generate: (call) => {
      try {
        generate(call)
      } catch (error) {
        endWithFailure(call, failure(error), null)
      }
    },
    Tokenize: ({ metadata, request }, callback) => void unary(metadata, callback, async () => {
      const input = toTokenizeInput(request)
      const model = modelOf(router, request.model)
      const tokenIds = await router.tokenize(model, input, request.addSpecialTokens ?? input.kind === 'text')
      return { tokenIds: [...tokenIds], maxModelLen: router.models().find((card) => card.id === model)?.maxModelLen ?? 0 }
    }),
    Detokenize: ({ metadata, request }, callback) => void unary(metadata, callback, async () => {
      checkTokenIds(request.tokenIds)
      return { text: await router.detokenize(modelOf(router, request.model), request.tokenIds) }
    }),
    ListModels: ({ metadata }, callback) => void unary(metadata, callback, () => ({
      models: router.models().map(({ id, maxModelLen, createdS }) => ({ id, maxModelLen, createdS })),
    })),
  }
  return { handlers, close: () => clearInterval(watch) }
}
