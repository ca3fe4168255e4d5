// A request and its choices as the instance sees them. State changes are made by the batch and actor modules.
//
//   request: waiting -> prompt -> running -> finished      (preemption: prompt | running -> waiting)
//                       prompt -> handing -> dropped       (another instance decodes it; kept after all: handing -> running)
//                     reserved -> running                  (taken over with its KV; `reserved` is in no book yet)
//   choice:  pending -> replaying -> decoding -> finished  (replaying only when emitted tokens are recomputed in cells)
//            pending -> handing -> decoding | dropped
//   `dropped` ends both from anywhere: aborted, expired or replaced.
import type { Address } from '@rubato/actor'
import type { OutgoingHandOff } from '../hand-off/outgoing.ts'
import type { GenerateMessage, SequenceTiming } from '../messages.ts'
import type { EngineSlot } from './engine-slot.ts'
import { TokenLog } from './token-log.ts'

export type SequenceState = 'pending' | 'handing' | 'replaying' | 'decoding' | 'finished' | 'dropped'
export type RequestState = 'reserved' | 'waiting' | 'prompt' | 'handing' | 'running' | 'finished' | 'dropped'

/** One choice. */
export class Sequence {
  readonly request: InstanceRequest
  /** Index of the choice. */
  readonly index: number
  /** Replaced when the choice is taken over from another instance. */
  log: TokenLog
  state: SequenceState = 'pending'
  /** Set while the engine (or the queue, before it) knows the sequence by a handle. */
  slot: EngineSlot | null = null
  /** Some run of this choice has left this instance. */
  hasEmittedHere = false
  acceptedDraftTokens = 0
  /** When it was first ready to decode here, and its tokens then. */
  #paceStart: { readonly atMs: number; readonly numTokens: number } | null = null
  /** What the instance that computed the prompt measured; null: this one computed it. */
  carriedTiming: SequenceTiming | null = null

  constructor(request: InstanceRequest, index: number) {
    this.request = request
    this.index = index
    this.log = new TokenLog(request.message.emittedIds[index] ?? [], request.message.sampling.logprobs !== null)
  }

  /** Time since it could first decode here, and tokens since then. Counts from the first call. */
  paceAt(nowMs: number): { readonly elapsedMs: number; readonly emittedTokens: number } {
    this.#paceStart ??= { atMs: nowMs, numTokens: this.log.length }
    return { elapsedMs: nowMs - this.#paceStart.atMs, emittedTokens: this.log.length - this.#paceStart.numTokens }
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
  /** Its epoch changes when another instance or another router takes the request over. */
  message: GenerateMessage
  replyTo: Address
  /** The router is gone: tokens are kept, not sent, until another one attaches. */
  isOrphan = false
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
  /** The way to another instance that it is on; null: it is on none. */
  handOff: OutgoingHandOff | null = null
  /** False once it is to be decoded here, whatever was asked. */
  mayHandOff: boolean
  /** First decode here became possible, and tokens its choices had then. */
  decodeStart: { readonly atMs: number; readonly numTokens: number } | null = null
  /** Trees drafted for a traced request, by who made them, and the times when drafting began and ended. */
  proposals: Partial<Record<'local' | 'remote', { readonly startMs: number; endMs: number; trees: number; nodes: number; elapsedMs: number }>> = {}
  /** Spans made so far: tells siblings apart. */
  numSpans = 0
  /** The client's deadline, while it generates. */
  deadlineAtMs: number | null
  /** When it is forgotten: after its end, or without a router. */
  forgetAtMs: number | null = null

  constructor(message: GenerateMessage, from: { readonly replyTo: Address; readonly arrivalOrder: number; readonly nowMs: number }) {
    this.message = message
    this.replyTo = from.replyTo
    this.arrivalOrder = from.arrivalOrder
    this.arrivalMs = from.nowMs
    this.isUrgent = message.recovered
    this.mayHandOff = message.handOffTo !== null
    this.deadlineAtMs = message.remainingMs === null ? null : from.nowMs + message.remainingMs
    const choices = message.emittedIds.map((_, index) => index).filter((index) => !message.finishedSequences.includes(index))
    this.sequences = choices.map((index) => new Sequence(this, index))
    this.live = [...this.sequences]
  }

  get promptLen(): number {
    return this.message.promptIds.length
  }

  /** Waits for its router's word before all else. */
  get isHeld(): boolean {
    return this.message.guarded === true
  }

  get isAdmitted(): boolean {
    return this.state === 'prompt' || this.state === 'handing' || this.state === 'running'
  }

  /** The earlier of deadline and forgetting; null: neither is set. */
  get expiresAtMs(): number | null {
    if (this.deadlineAtMs === null || this.forgetAtMs === null) return this.deadlineAtMs ?? this.forgetAtMs
    return Math.min(this.deadlineAtMs, this.forgetAtMs)
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
