// W3C Trace Context: the `traceparent` header as a value, and back.
import type { TraceContext } from '@rubato/actor'

/** What a caller says of its own span. */
export interface TraceParent extends TraceContext {
  /** The caller records this trace. */
  readonly sampled: boolean
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const ALL_ZERO = /^0+$/
const INVALID_VERSION = 'ff'
const SAMPLED_FLAG = 1

/**
 * Reads the header by the letter of W3C Trace Context level 1: lower-case hex, no zero ids, exactly four fields in version 00,
 * at least four in later versions. null when it breaks a rule: the trace then starts anew.
 */
export function parseTraceparent(header: string | undefined): TraceParent | null {
  const [, version, traceId, spanId, flags, more] = TRACEPARENT.exec(header ?? '') ?? []
  if (version === undefined || traceId === undefined || spanId === undefined || flags === undefined) return null
  if (version === INVALID_VERSION || (version === '00' && more !== undefined)) return null
  if (ALL_ZERO.test(traceId) || ALL_ZERO.test(spanId)) return null
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & SAMPLED_FLAG) !== 0 }
}

/** The header, version 00, that makes the next hop a child of this span. */
export function formatTraceparent({ traceId, spanId }: TraceContext, sampled = true): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`
}
