// Spans of traced requests: `router.request` from submission to end, under it one `router.dispatch` per dispatch (to the
// first token that it brought, or to its end) and one `recover` per loss (to the next first token). No text in any of them.
import { childContext } from '@rubato/actor'
import type { SpanAttributes, TraceContext } from '@rubato/actor'
import type { LiveRequest } from './state/request.ts'
import type { RouterState } from './state/router-state.ts'

/** Begins the span of a dispatch; the context that the instance's spans belong under, null when the request is not traced. */
export function beginDispatch(request: LiveRequest, attributes: SpanAttributes, nowMs: number): TraceContext | null {
  request.numDispatches += 1
  if (request.trace === null) return null
  const context = childContext(request.trace, 'router.dispatch', request.numDispatches)
  request.dispatchSpan = { context, startMs: nowMs, attributes }
  return context
}

/** Ends the span of the current dispatch, if it is open. error: what became of it instead of a first token. */
export function endDispatch(state: RouterState, request: LiveRequest, error: string | null, nowMs: number): void {
  const { trace, dispatchSpan } = request
  if (trace === null || dispatchSpan === null) return
  request.dispatchSpan = null
  const { context, startMs, attributes } = dispatchSpan
  state.outbox.span({ ...context, name: 'router.dispatch', parentSpanId: trace.spanId, startMs, endMs: nowMs, attributes, error })
}

/** Ends the wait since a loss, if there is one. error: it ended without a token. */
export function endRecovery(state: RouterState, request: LiveRequest, error: string | null, nowMs: number): void {
  const { trace, recoveringSinceMs } = request
  if (recoveringSinceMs === null) return
  request.recoveringSinceMs = null
  if (trace === null) return
  const attributes = { 'rubato.recoveries': request.numRecoveries }
  state.outbox.span({
    ...childContext(trace, 'recover', request.numRecoveries), name: 'recover', parentSpanId: trace.spanId, startMs: recoveringSinceMs, endMs: nowMs, attributes, error,
  })
}

/** The request is over: ends everything that is open. error: null when it worked. */
export function endRequest(state: RouterState, request: LiveRequest, error: string | null, nowMs: number): void {
  const { trace } = request
  endDispatch(state, request, error, nowMs)
  endRecovery(state, request, error, nowMs)
  if (trace === null) return
  const { parentSpanId, traceId, spanId } = trace
  state.outbox.span({ traceId, spanId, parentSpanId, name: 'router.request', startMs: request.submittedMs, endMs: nowMs, attributes: requestAttributes(request), error })
}

function requestAttributes(record: LiveRequest): SpanAttributes {
  const { request, model, promptIds, choices } = record
  return {
    'gen_ai.operation.name': request.input.kind === 'chat' ? 'chat' : 'text_completion',
    'gen_ai.request.model': model.id,
    'gen_ai.usage.input_tokens': promptIds.length,
    'gen_ai.usage.output_tokens': choices.reduce((sum, choice) => sum + choice.tokenIds.length, 0),
    // One per choice, as the attribute has no lists here.
    'gen_ai.response.finish_reasons': choices.map((choice) => choice.end?.finish ?? 'error').join(','),
    'rubato.request_id': request.requestId,
    'rubato.recoveries': record.numRecoveries,
    'rubato.disaggregated': record.wasPaired,
  }
}
