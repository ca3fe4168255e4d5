// An exporter that keeps count of what is under way, so that a collector that is slow or gone costs bounded memory.
//
// 1. numWaiting = taken - (exported + failed) <= maxWaiting, spans in retries and in flight included.
// 2. Every taken span is counted as exported or failed once; a refused one is counted as dropped.
// 3. The inner exporter's throw is a failed batch.
import type { ExportResult } from '@opentelemetry/core'
import { ExportResultCode } from '@opentelemetry/core'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'

export interface SpanCounts {
  /** Acknowledged by the collector. */
  readonly exported: number
  /** Not taken because too many waited, or came after the end. */
  readonly dropped: number
  /** Taken, but the collector could not be reached or refused them. */
  readonly failed: number
  readonly waiting: number
}

export class BoundedExporter implements SpanExporter {
  readonly #inner: SpanExporter
  readonly #maxWaiting: number
  readonly #onFailure: (error: unknown) => void
  #exported = 0
  #dropped = 0
  #failed = 0
  #waiting = 0

  constructor(inner: SpanExporter, maxWaiting: number, onFailure: (error: unknown) => void) {
    this.#inner = inner
    this.#maxWaiting = maxWaiting
    this.#onFailure = onFailure
  }

  /** Makes room for one more span; false: none, and the span is counted as dropped. */
  take(): boolean {
    if (this.#waiting < this.#maxWaiting) {
      this.#waiting += 1
      return true
    }
    this.#dropped += 1
    return false
  }

  drop(): void {
    this.#dropped += 1
  }

  counts(): SpanCounts {
    return { exported: this.#exported, dropped: this.#dropped, failed: this.#failed, waiting: this.#waiting }
  }

  export(spans: ReadableSpan[], resultCallback: (result: ExportResult) => void): void {
    const settle = (result: ExportResult): void => {
      this.#waiting -= spans.length
      if (result.code === ExportResultCode.SUCCESS) this.#exported += spans.length
      else {
        this.#failed += spans.length
        this.#onFailure(result.error ?? new Error('export failed'))
      }
      resultCallback(result)
    }
    try {
      this.#inner.export(spans, settle)
    } catch (error) {
      settle({ code: ExportResultCode.FAILED, error: error instanceof Error ? error : new Error(String(error)) })
    }
  }

  shutdown(): Promise<void> {
    return this.#inner.shutdown()
  }

  async forceFlush(): Promise<void> {
    await this.#inner.forceFlush?.()
  }
}
