// Decides where a request enters whether it is traced, and draws the ids of its root span.
import { randomBytes } from 'node:crypto'

export interface TraceSource {
  /** `parentSampled`: what the client's traceparent says, null without one. A client's word counts; else the ratio decides. */
  shouldTrace(parentSampled: boolean | null): boolean
  /** 32 lower-case hex digits, not all zero. */
  newTraceId(): string
  /** 16 lower-case hex digits, not all zero. */
  newSpanId(): string
}

/** Parent-based sampling: requests without a parent are traced with probability `sampleRatio`, 0 to 1. */
export function createTraceSource(sampleRatio: number, drawRatio: () => number = Math.random): TraceSource {
  return {
    shouldTrace: (parentSampled) => parentSampled ?? drawRatio() < sampleRatio,
    newTraceId: () => randomHex(16),
    newSpanId: () => randomHex(8),
  }
}

function randomHex(numBytes: number): string {
  for (;;) {
    const bytes = randomBytes(numBytes)
    if (bytes.some((byte) => byte !== 0)) return bytes.toString('hex')
  }
}
