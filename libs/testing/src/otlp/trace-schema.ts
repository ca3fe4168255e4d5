// The part of OTLP's trace protocol that tests look at (opentelemetry-proto v1, trace/v1 and collector/trace/v1).
import protobuf from 'protobufjs'

const { root } = protobuf.parse(`
  syntax = "proto3";
  message ArrayValue { repeated AnyValue values = 1; }
  message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; ArrayValue array_value = 5; } }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message Resource { repeated KeyValue attributes = 1; }
  message Status { string message = 2; int32 code = 3; }
  message Span {
    bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
    fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8; repeated KeyValue attributes = 9; Status status = 15;
  }
  message ScopeSpans { repeated Span spans = 2; }
  message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
  message ExportTraceServiceRequest { repeated ResourceSpans resource_spans = 1; }
`)

const requestType = root.lookupType('ExportTraceServiceRequest')

interface AnyValue {
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly intValue?: number
  readonly doubleValue?: number
  readonly arrayValue?: { readonly values: readonly AnyValue[] }
}

interface KeyValue {
  readonly key: string
  readonly value: AnyValue
}

interface Span {
  readonly traceId: Uint8Array
  readonly spanId: Uint8Array
  readonly parentSpanId: Uint8Array
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: { toString(): string }
  readonly endTimeUnixNano: { toString(): string }
  readonly attributes: readonly KeyValue[]
  readonly status: { readonly message: string; readonly code: number } | null
}

interface ExportRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] } | null
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[]
  }[]
}

type AttributeValue = string | number | boolean | readonly AttributeValue[]

/** A span as a collector received it. */
export interface CollectedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | null
  readonly serviceName: string
  readonly instanceId: string
  /** OTLP numbers: 1 internal, 2 server. */
  readonly kind: number
  /** Unix time, milliseconds. */
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Readonly<Record<string, AttributeValue>>
  readonly error: string | null
}

const STATUS_ERROR = 2

function valueOf(value: AnyValue): AttributeValue {
  return value.stringValue ?? value.boolValue ?? value.intValue ?? value.doubleValue ?? (value.arrayValue?.values ?? []).map(valueOf)
}

function attributesOf(entries: readonly KeyValue[]): Record<string, AttributeValue> {
  return Object.fromEntries(entries.map(({ key, value }) => [key, valueOf(value)]))
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function millis(nanos: { toString(): string }): number {
  const whole = BigInt(nanos.toString())
  return Number(whole / 1_000_000n) + Number(whole % 1_000_000n) / 1e6
}

/** The spans of an ExportTraceServiceRequest. Throws when the bytes are none. */
export function decodeSpans(bytes: Uint8Array): readonly CollectedSpan[] {
  const request = requestType.toObject(requestType.decode(bytes), { longs: Number, arrays: true }) as ExportRequest
  // Times need all 64 bits; attributes are small numbers.
  const exact = requestType.decode(bytes) as unknown as ExportRequest
  return request.resourceSpans.flatMap(({ resource, scopeSpans }, position) => {
    const shared = attributesOf(resource?.attributes ?? [])
    const origin = { serviceName: String(shared['service.name']), instanceId: String(shared['service.instance.id']) }
    const times = exact.resourceSpans[position]!.scopeSpans.flatMap(({ spans }) => spans)
    return scopeSpans.flatMap(({ spans }) => spans).map((span, index): CollectedSpan => ({
      ...origin,
      name: span.name,
      traceId: hex(span.traceId),
      spanId: hex(span.spanId),
      parentSpanId: span.parentSpanId?.length > 0 ? hex(span.parentSpanId) : null,
      kind: span.kind,
      startMs: millis(times[index]!.startTimeUnixNano),
      endMs: millis(times[index]!.endTimeUnixNano),
      attributes: attributesOf(span.attributes),
      error: span.status?.code === STATUS_ERROR ? span.status.message : null,
    }))
  })
}
