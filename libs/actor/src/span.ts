// Trace spans as values: actors say what happened and when, a shell exports it. Times are the actor's own monotonic clock.
//
// 1. An actor makes no span for a request without a trace context; whether a request is traced is decided where it enters.
// 2. Span ids are derived, not drawn: the same parent, name and ordinal always give the same id.
import type { Effect } from './actor.ts'

/** W3C trace context: the span under which what follows belongs. */
export interface TraceContext {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string
  /** 16 lower-case hex digits, not all zero. */
  readonly spanId: string
}

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>

export interface SpanRecord extends TraceContext {
  readonly name: string
  readonly parentSpanId: string | null
  readonly startMs: number
  readonly endMs: number
  readonly attributes: SpanAttributes
  /** Set when what the span covers failed. */
  readonly error: string | null
}

/** Exports a finished span; completes with `done` at once. */
export interface SpanEffect extends Effect {
  readonly kind: 'span'
  readonly span: SpanRecord
}

/** The context of a child span. `ordinal` tells siblings of one name apart. */
export function childContext(parent: TraceContext, name: string, ordinal: number): TraceContext {
  const text = `${parent.traceId}${parent.spanId}${name}#${ordinal}`
  return { traceId: parent.traceId, spanId: hash32(text, 0x811c9dc5) + hash32(text, 0x2f0b4a27) }
}

/** FNV-1a with a final mix, as 8 hex digits; never all zero. */
function hash32(text: string, basis: number): string {
  let hash = basis
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  hash = (hash ^ (hash >>> 16)) >>> 0
  return (hash === 0 ? 1 : hash).toString(16).padStart(8, '0')
}
