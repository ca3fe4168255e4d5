// Spans of traced requests: one per stage, none per token.
import { childContext } from '@rubato/actor'
import type { SpanAttributes } from '@rubato/actor'
import type { CellRun } from '../batch/planned-step.ts'
import { cellSizes } from '../batch/cells.ts'
import type { EffectList } from '../effects.ts'
import type { InstanceRequest } from '../request/request.ts'

export interface SpanTimes {
  readonly startMs: number
  readonly endMs: number
}

export class RequestSpans {
  readonly #effects: EffectList
  readonly #cellTokens: number

  constructor(effects: EffectList, cellTokens: number) {
    this.#effects = effects
    this.#cellTokens = cellTokens
  }

  queued(request: InstanceRequest, nowMs: number): void {
    this.#end(request, 'prefill.queue', { startMs: request.arrivalMs, endMs: nowMs }, { cached: request.cachedTokens })
  }

  /** Call before the slot advances. Cells of one step share its time. */
  cells({ sequence, slot, end }: CellRun, times: SpanTimes): void {
    const { request } = sequence
    if (request.message.trace === null) return
    for (const tokens of cellSizes(slot.kvTokens, end, this.#cellTokens)) this.#end(request, 'prefill.cell', times, { tokens, cached: request.cachedTokens })
  }

  transferred(request: InstanceRequest, times: SpanTimes, size: { readonly bytes: number; readonly blocks: number }): void {
    this.#end(request, 'kv.transfer', times, size)
  }

  /** One stage of a live request's copy. */
  copied(request: InstanceRequest, times: SpanTimes, stage: { readonly stage: number; readonly blocks: number; readonly isLast: boolean }): void {
    this.#end(request, 'migrate.stage', times, stage)
  }

  decodeStarts(request: InstanceRequest, nowMs: number): void {
    if (request.message.trace !== null) request.decodeStart ??= { atMs: nowMs, numTokens: numTokens(request) }
  }

  /** A tree was drafted for one of its choices. */
  proposed(request: InstanceRequest, source: 'local' | 'remote', { nowMs, elapsedMs, nodes }: { readonly nowMs: number; readonly elapsedMs: number; readonly nodes: number }): void {
    if (request.message.trace === null) return
    const tally = (request.proposals[source] ??= { startMs: nowMs - elapsedMs, endMs: nowMs, trees: 0, nodes: 0, elapsedMs: 0 })
    tally.endMs = nowMs
    tally.trees += 1
    tally.nodes += nodes
    tally.elapsedMs += elapsedMs
  }

  /** The request ends, is dropped, or goes on elsewhere. */
  decodeEnds(request: InstanceRequest, nowMs: number): void {
    const { decodeStart, proposals } = request
    request.decodeStart = null
    request.proposals = {}
    for (const [source, { startMs, endMs, ...sizes }] of Object.entries(proposals)) this.#end(request, 'spec.propose', { startMs, endMs }, { source, ...sizes })
    if (decodeStart === null) return
    const tokens = numTokens(request) - decodeStart.numTokens
    this.#end(request, 'decode.run', { startMs: decodeStart.atMs, endMs: nowMs }, { tokens, complete: request.live.length === 0, preemptions: request.preemptions })
  }

  #end(request: InstanceRequest, name: string, { startMs, endMs }: SpanTimes, attributes: SpanAttributes): void {
    const { trace } = request.message
    if (trace === null) return
    this.#effects.span({ ...childContext(trace, name, request.numSpans++), name, parentSpanId: trace.spanId, startMs, endMs, attributes, error: null })
  }
}

function numTokens({ sequences }: InstanceRequest): number {
  return sequences.reduce((sum, { log }) => sum + log.length, 0)
}
