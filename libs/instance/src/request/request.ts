// A request and its choices as the instance sees them. State changes are made by the batch and actor modules.
//
//   request: waiting -> prompt -> running -> finished      (preemption: prompt | running -> waiting)
//   choice:  pending -> replaying -> decoding -> finished  (replaying only when emitted tokens are recomputed in cells)
//   `dropped` ends both from anywhere: aborted, expired or replaced.
import type { Address } from '@rubato/actor'
import type { GenerateMessage } from '../messages.ts'
import type { EngineSlot } from './engine-slot.ts'
import { TokenLog } from './token-log.ts'

export type SequenceState = 'pending' | 'replaying' | 'decoding' | 'finished' | 'dropped'
export type RequestState = 'waiting' | 'prompt' | 'running' | 'finished' | 'dropped'

/** One choice. */
export class Sequence {
  readonly request: InstanceRequest
  /** Index of the choice. */
  readonly index: number
  readonly log: TokenLog
  state: SequenceState = 'pending'
  /** Set while the engine (or the queue, before it) knows the sequence by a handle. */
  slot: EngineSlot | null = null
/** Some run of this choice has left this instance. */
  hasEmittedHere = false
  acceptedDraftTokens = 0

  constructor(request: InstanceRequest, index: number) {
    this.request = request
    this.index = index
    this.log = new TokenLog(request.message.emittedIds[index] ?? [], request.message.sampling.logprobs !== null)
  }

  get totalTokens(): number {
    return this.request.promptLen + this.log.length
  }

  /** KV the next decode stands on: everything but the last emitted token, which is its input. */
  get settledKvTokens(): number {
    return this.request.promptLen + Math.max(0, this.log.length - 1)
  }
}

export class InstanceRequest {
  readonly message: GenerateMessage
  readonly replyTo: Address
  readonly arrivalOrder: number
  readonly arrivalMs: number
  /** Recovered and preempted requests go before all others. */
  isUrgent: boolean
  state: RequestState = 'waiting'
  /** Every choice whose tokens are still owed to the router, finished ones included. */
  sequences: Sequence[]
  /** Choices that still generate. */
  live: Sequence[]
  /** Whose handle runs the prompt; set while `prompt`, when it may outlive its choice's abort. */
  lead: Sequence | null = null
  /** Hashes of the prompt's full blocks, made when first needed. */
  promptHashes: readonly string[] | null = null
  /** Prompt tokens found in the prefix index at the first admission. */
  cachedTokens = 0
  preemptions = 0
  /** First admission, and the first time the whole prompt was in KV. */
  admittedMs: number | null = null
  promptEndMs: number | null = null
  /** Deadline while it runs; after its end, when its tokens are forgotten unacknowledged. */
  expiresAtMs: number | null

  constructor(message: GenerateMessage, from: { readonly replyTo: Address; readonly arrivalOrder: number; readonly nowMs: number }) {
    this.message = message
    this.replyTo = from.replyTo
    this.arrivalOrder = from.arrivalOrder
    this.arrivalMs = from.nowMs
    this.isUrgent = message.recovered
    this.expiresAtMs = message.remainingMs === null ? null : from.nowMs + message.remainingMs
    const choices = message.emittedIds.map((_, index) => index).filter((index) => !message.finishedSequences.includes(index))
    this.sequences = choices.map((index) => new Sequence(this, index))
    this.live = [...this.sequences]
  }

  get promptLen(): number {
    return this.message.promptIds.length
  }
}

/** Serving order: urgent ones first, then priority (lower first), then arrival. */
export function compareRequests(a: InstanceRequest, b: InstanceRequest): number {
  return Number(b.isUrgent) - Number(a.isUrgent) || a.message.priority - b.message.priority || a.arrivalOrder - b.arrivalOrder
}

/** Tokens [start, end) of prompt + emitted. */
export function tokensBetween(sequence: Sequence, start: number, end: number): readonly number[] {
  const { promptIds } = sequence.request.message
  const { promptLen } = sequence.request
  if (end <= promptLen) return promptIds.slice(start, end)
  const emitted = sequence.log.tokenIds.slice(Math.max(0, start - promptLen), end - promptLen)
  return start >= promptLen ? emitted : [...promptIds.slice(start), ...emitted]
}
