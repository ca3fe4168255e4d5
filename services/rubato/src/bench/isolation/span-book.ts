// Takes the spans of a cluster in this process, instead of sending them anywhere. All are on the clock of performance.now().
import { DONE } from '@rubato/actor'
import type { EffectTable, SpanEffect, SpanRecord } from '@rubato/actor'
import type { SpanCounts, TraceSource, Tracing } from '@rubato/telemetry'

const TRACE_ID_DIGITS = 32
const SPAN_ID_DIGITS = 16
const SPANS_AT_A_TIME = 1024

export class SpanBook implements Tracing {
  /** Whether requests that come from now on are traced. */
  isOn = false
  readonly #spans: SpanRecord[] = []
  #lastId = 0

  readonly traceSource: TraceSource = {
    shouldTrace: () => this.isOn,
    newTraceId: () => this.#newId(TRACE_ID_DIGITS),
    newSpanId: () => this.#newId(SPAN_ID_DIGITS),
  }

  export(span: SpanRecord): void {
    this.#spans.push(span)
  }

  spanEffects(): EffectTable {
    return {
      span: {
        limit: SPANS_AT_A_TIME,
        perform: (effect, run) => {
          this.export((effect as SpanEffect).span)
          run.complete(DONE)
        },
      },
    }
  }

  /** What has ended since the last call. */
  take(): readonly SpanRecord[] {
    return this.#spans.splice(0)
  }

  counts(): SpanCounts {
    return { exported: 0, dropped: 0, failed: 0, waiting: this.#spans.length }
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}

  #newId(digits: number): string {
    return (++this.#lastId).toString(16).padStart(digits, '0')
  }
}
