// Router events as rubato.v1 messages.
import { Buffer } from 'node:buffer'
import type { GenerateResponse, TokenLogprob } from '@rubato/rpc'
import type { ClientFinish, TextLogprobs } from '../client.ts'
import type { DeltaEvent, GroupSummary } from '../front-door/request-group.ts'

const FINISH_REASON = {
  stop: 'FINISH_REASON_STOP',
  length: 'FINISH_REASON_LENGTH',
  cancelled: 'FINISH_REASON_CANCELLED',
  error: 'FINISH_REASON_ERROR',
} as const satisfies Readonly<Record<ClientFinish, string>>

function asBuffer(bytes: Uint8Array | undefined): Buffer {
  return bytes === undefined ? Buffer.alloc(0) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function tokenLogprob(entry: TextLogprobs): TokenLogprob {
  const { tokenId, logprob, rank, top, bytes, topBytes } = entry
  return {
    tokenId,
    logprob,
    rank,
    token: asBuffer(bytes),
    top: top.map((item, index) => ({ tokenId: item.tokenId, logprob: item.logprob, token: asBuffer(topBytes[index]) })),
  }
}

/** The message of one delta; with `summary` it is the last message of its call. */
export function toGenerateResponse(index: number, event: DeltaEvent | null, summary: GroupSummary | null): GenerateResponse {
  const message: GenerateResponse = { index }
  if (event !== null) {
    message.text = event.text
    message.tokenIds = event.tokenIds as number[]
    if (event.logprobs !== null) message.logprobs = event.logprobs.map(tokenLogprob)
    if (event.finish !== null) message.finishReason = FINISH_REASON[event.finish]
    if (typeof event.stopReason === 'string') message.stopString = event.stopReason
    else if (event.stopReason !== null) message.stopTokenId = event.stopReason
  }
  if (summary !== null) {
    const { tpotMs, ...timing } = summary.timing
    message.usage = { ...summary.usage }
    message.timing = tpotMs === null ? timing : { ...timing, tpotMs }
    message.systemFingerprint = summary.systemFingerprint
  }
  return message
}

const MESSAGE_OVERHEAD_BYTES = 32
const TOKEN_BYTES = 4
const LOGPROB_BYTES = 24

/** About what the message takes on the wire; for buffer limits, not for billing. */
export function estimatedBytes(message: GenerateResponse): number {
  const logprobs = message.logprobs ?? []
  const perToken = logprobs.length * (1 + (logprobs[0]?.top?.length ?? 0)) * LOGPROB_BYTES
  return MESSAGE_OVERHEAD_BYTES + (message.text?.length ?? 0) + (message.tokenIds?.length ?? 0) * TOKEN_BYTES + perToken
}
