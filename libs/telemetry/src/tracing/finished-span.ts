// A SpanRecord as the OpenTelemetry SDK's exporters read it.
import type { Attributes, HrTime, SpanContext, SpanStatus } from '@opentelemetry/api'
import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api'
import type { InstrumentationScope } from '@opentelemetry/core'
import type { Resource } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { SpanRecord } from '@rubato/actor'

/** What every span of this process has in common. */
export interface SpanOrigin {
  readonly resource: Resource
  readonly scope: InstrumentationScope
  /** Unix time of monotonic 0, milliseconds. Fixed at start: a clock that is set later moves no span against another. */
  readonly wallOriginMs: number
}

/** Spans of calls that came in from outside; all others are a process's own work. */
const SERVER_SPANS: ReadonlySet<string> = new Set(['router.request'])

const UNSET: SpanStatus = { code: SpanStatusCode.UNSET }
const NONE: never[] = []

export class FinishedSpan implements ReadableSpan {
  readonly ended = true
  readonly links = NONE
  readonly events = NONE
  readonly droppedAttributesCount = 0
  readonly droppedEventsCount = 0
  readonly droppedLinksCount = 0
  readonly #record: SpanRecord
  readonly #origin: SpanOrigin

  constructor(record: SpanRecord, origin: SpanOrigin) {
    this.#record = record
    this.#origin = origin
  }

  get name(): string {
    return this.#record.name
  }

  get kind(): SpanKind {
    return SERVER_SPANS.has(this.#record.name) ? SpanKind.SERVER : SpanKind.INTERNAL
  }

  get attributes(): Attributes {
    return this.#record.attributes
  }

  get status(): SpanStatus {
    const { error } = this.#record
    return error === null ? UNSET : { code: SpanStatusCode.ERROR, message: error }
  }

  get startTime(): HrTime {
    return hrTime(this.#origin.wallOriginMs + this.#record.startMs)
  }

  get endTime(): HrTime {
    return hrTime(this.#origin.wallOriginMs + this.#record.endMs)
  }

  get duration(): HrTime {
    return hrTime(Math.max(0, this.#record.endMs - this.#record.startMs))
  }

  get resource(): Resource {
    return this.#origin.resource
  }

  get instrumentationScope(): InstrumentationScope {
    return this.#origin.scope
  }

  get parentSpanContext(): SpanContext {
    const { traceId, parentSpanId } = this.#record
    return { traceId, spanId: parentSpanId ?? '', traceFlags: TraceFlags.SAMPLED }
  }

  spanContext(): SpanContext {
    const { traceId, spanId } = this.#record
    return { traceId, spanId, traceFlags: TraceFlags.SAMPLED }
  }
}

/** Whole seconds and the nanoseconds left of them. */
export function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000)
  const nanos = Math.round((ms - seconds * 1000) * 1e6)
  return nanos === 1e9 ? [seconds + 1, 0] : [seconds, nanos]
}
