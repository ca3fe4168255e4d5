// Exports finished spans over OTLP http/protobuf, in the background.
//
// 1. export() never blocks, never throws and never holds more than MAX_WAITING spans; what is too much is dropped and counted.
// 2. A collector that is gone costs one report per minute.
// 3. close() ends within its deadline; without one that bites, everything exported before it has been sent.
import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace'
import { DONE } from '@rubato/actor'
import type { EffectPort, EffectTable, SpanEffect, SpanRecord } from '@rubato/actor'
import { InvalidArgument } from '@rubato/config'
import { BoundedExporter } from './bounded-exporter.ts'
import type { SpanCounts } from './bounded-exporter.ts'
import { FinishedSpan } from './finished-span.ts'
import type { SpanOrigin } from './finished-span.ts'
import { ProblemReport, causeOf } from './problem-report.ts'
import { createTraceSource } from './trace-source.ts'
import type { TraceSource } from './trace-source.ts'

export interface TracingOptions {
  /** service.name, e.g. `rubato-router`. */
  readonly serviceName: string
  /** service.instance.id: the instance's or router's id with its nonce. */
  readonly instanceId: string
  /** Where spans are posted to, with its path, usually /v1/traces; null: no tracing. */
  readonly endpoint: string | null
  /** Share of requests without a sampled parent that are traced, 0 to 1. @default 1 */
  readonly sampleRatio?: number
  /** Sent with every post, e.g. the collector's authorization. */
  readonly headers?: Readonly<Record<string, string>>
  /** More resource attributes (OTEL_RESOURCE_ATTRIBUTES, service.version). */
  readonly resourceAttributes?: Readonly<Record<string, string>>
  /** Spans were lost; at most once per minute. */
  readonly onProblem: (message: string) => void
  /** For one batch with its retries (OTEL_EXPORTER_OTLP_TIMEOUT). @default 5000 */
  readonly exportTimeoutMs?: number
  /** Called with every span that is exported, for the process's log. */
  readonly onSpan?: (span: SpanRecord) => void
  /** Unix time of the actors' clock at 0, milliseconds. @default that of performance.now() */
  readonly wallOriginMs?: number
  /** Monotonic milliseconds, for the minute between reports. @default performance.now */
  readonly nowMs?: () => number
}

export interface Tracing {
  export(span: SpanRecord): void
  /** The port of the `span` effect. */
  spanEffects(): EffectTable
  readonly traceSource: TraceSource
  counts(): SpanCounts
  /** Resolves once everything exported so far was sent or given up. */
  flush(): Promise<void>
  /** Sends what waits, for at most `deadlineMs`; spans that come later are dropped. Idempotent. @default 2000 */
  close(deadlineMs?: number): Promise<void>
}

const MAX_WAITING = 8192
const MAX_BATCH = 512
const BATCH_DELAY_MS = 1000
/** Long enough to bridge a restart of the collector, short enough for what waits meanwhile. */
const EXPORT_TIMEOUT_MS = 5000
const CONCURRENT_EXPORTS = 64
const CLOSE_DEADLINE_MS = 2000
const SPAN_EFFECT_LIMIT = 1024

function spanPort(take: (span: SpanRecord) => void): EffectPort {
  return {
    limit: SPAN_EFFECT_LIMIT,
    perform: (effect, run) => {
      take((effect as SpanEffect).span)
      run.complete(DONE)
    },
  }
}

/** For a process that exports no spans: another one may have decided that a request is traced. */
export const DISCARD_SPANS: EffectTable = { span: spanPort(() => {}) }

/** Starts exporting; null without an endpoint. Needs no collector to be there. Throws InvalidArgument when the endpoint is no http(s) URL. */
export function startTracing(options: TracingOptions): Tracing | null {
  const { endpoint } = options
  if (endpoint === null) return null
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol)) {
    throw new InvalidArgument('otlp-traces-endpoint', `otlp-traces-endpoint: ${JSON.stringify(endpoint)} is no http or https URL; spans are sent as OTLP http/protobuf, e.g. to http://127.0.0.1:4318/v1/traces`)
  }
  return new OtlpTracing(options, endpoint)
}

class OtlpTracing implements Tracing {
  readonly traceSource: TraceSource
  readonly #origin: SpanOrigin
  readonly #report: ProblemReport
  readonly #exporter: BoundedExporter
  readonly #processor: BatchSpanProcessor
  readonly #endpoint: string
  readonly #onSpan: (span: SpanRecord) => void
  #flushing: Promise<void> = Promise.resolve()
  #closing: Promise<void> | null = null

  constructor(options: TracingOptions, endpoint: string) {
    const { serviceName, instanceId, headers = {}, resourceAttributes = {}, sampleRatio = 1, exportTimeoutMs = EXPORT_TIMEOUT_MS } = options
    this.#endpoint = endpoint
    this.#onSpan = options.onSpan ?? (() => {})
    this.traceSource = createTraceSource(sampleRatio)
    this.#origin = {
      resource: resourceFromAttributes({ ...resourceAttributes, 'service.name': serviceName, 'service.instance.id': instanceId }),
      scope: { name: 'rubato' },
      wallOriginMs: options.wallOriginMs ?? performance.timeOrigin,
    }
    this.#report = new ProblemReport(options.onProblem, options.nowMs ?? (() => performance.now()))
    const otlp = new OTLPTraceExporter({ url: endpoint, headers: { ...headers }, timeoutMillis: exportTimeoutMs, concurrencyLimit: CONCURRENT_EXPORTS })
    this.#exporter = new BoundedExporter(otlp, MAX_WAITING, (error) => this.#failed(error))
    this.#processor = new BatchSpanProcessor({
      exporter: this.#exporter, maxQueueSize: MAX_WAITING, maxExportBatchSize: MAX_BATCH, scheduledDelayMillis: BATCH_DELAY_MS,
      exportTimeoutMillis: exportTimeoutMs * 2,
    })
  }

  export(span: SpanRecord): void {
    this.#onSpan(span)
    if (this.#closing !== null) this.#exporter.drop()
    else if (this.#exporter.take()) this.#processor.onEnd(new FinishedSpan(span, this.#origin))
    else this.#report.say(() => `traces: ${MAX_WAITING} spans wait for ${this.#endpoint}: ${this.#lost()}`)
  }

  spanEffects(): EffectTable {
    return { span: spanPort((span) => this.export(span)) }
  }

  counts(): SpanCounts {
    return this.#exporter.counts()
  }

  flush(): Promise<void> {
    // One after the other: each may post as many batches at once as may be under way.
    this.#flushing = this.#flushing.then(() => this.#processor.forceFlush()).catch(() => {}).then(() => this.#exporter.forceFlush())
    return this.#flushing
  }

  close(deadlineMs: number = CLOSE_DEADLINE_MS): Promise<void> {
    this.#closing ??= this.#close(deadlineMs)
    return this.#closing
  }

  async #close(deadlineMs: number): Promise<void> {
    const timer = new AbortController()
    const sent = this.#processor.shutdown().catch(() => {})
    const late = delay(deadlineMs, true, { signal: timer.signal }).catch(() => false)
    const isLate = await Promise.race([sent.then(() => false), late])
    timer.abort()
    if (isLate) this.#report.say(() => `traces: ${this.#endpoint} did not take ${this.counts().waiting} spans in time`)
  }

  #failed(error: unknown): void {
    this.#report.say(() => `traces: cannot export to ${this.#endpoint}: ${causeOf(error)}; ${this.#lost()}`)
  }

  #lost(): string {
    const { dropped, failed } = this.counts()
    return `${dropped + failed} spans lost so far`
  }
}
