// Made-up answers for the tests of reports.
import type { Answer, AnswerEnd } from '../client/generate-client.ts'
import { NO_TARGETS } from '../dataset/planned-request.ts'
import type { SloTargets } from '../dataset/planned-request.ts'
import type { RunRecord } from './attainment.ts'

export interface AnswerParts {
  readonly startMs?: number
  readonly chunkTimesMs?: readonly number[]
  readonly chunkTokens?: readonly number[]
  readonly outputTokens?: number
  readonly end?: AnswerEnd
  readonly hasExactChunks?: boolean
}

export function answerOf(parts: AnswerParts): Answer {
  const chunkTimesMs = parts.chunkTimesMs ?? []
  const chunkTokens = parts.chunkTokens ?? chunkTimesMs.map(() => 1)
  const outputTokens = parts.outputTokens ?? chunkTokens.reduce((sum, count) => sum + count, 0)
  const startMs = parts.startMs ?? 0
  return {
    end: parts.end ?? { kind: 'completed' },
    startMs,
    endMs: chunkTimesMs.at(-1) ?? startMs,
    chunkTimesMs,
    chunkTokens,
    hasExactChunks: parts.hasExactChunks ?? true,
    promptTokens: 10,
    outputTokens,
    tokenIds: Array.from({ length: outputTokens }, (_, index) => index),
    text: 'x'.repeat(outputTokens),
  }
}

export const failed = (message: string, startMs = 0): Answer => answerOf({ startMs, end: { kind: 'failed', message } })

export const targets = (given: Partial<SloTargets>): SloTargets => ({ ...NO_TARGETS, ...given })

export function recordOf(index: number, answer: Answer, slo: SloTargets | null = null, className: string | null = null): RunRecord {
  return { request: { index, className, input: { kind: 'text', text: 'p' }, promptTokens: 10, maxTokens: 8, arrivalMs: null, slo }, scheduledMs: answer.startMs, answer }
}
