// One request on its way in, as its destination keeps it: the blocks that wait for its KV and those that are there.
//
// 1. A prompt has one track, its first choice's: the others copy what they need of it. A live request has one per choice; the
//    blocks that hold nothing but prompt are shared, and the first one's to wait for.
import type { Address } from '@rubato/actor'
import { blocksFor } from '@rubato/kv'
import type { PrefixWriter } from '../batch/prefix-writer.ts'
import type { Epoch } from '../messages.ts'
import type { HandOffMessage, HandedSequence } from '../peer-messages.ts'
import type { EngineSlot } from '../request/engine-slot.ts'
import type { InstanceRequest } from '../request/request.ts'
import { Sequence } from '../request/request.ts'
import { TokenLog } from '../request/token-log.ts'
import { BlockTrack } from './block-track.ts'

export interface ReservationStart {
  readonly source: Address
  readonly kvAddress: string
  readonly isLive: boolean
  readonly blockSize: number
  readonly nowMs: number
}

export class Reservation {
  readonly request: InstanceRequest
  readonly source: Address
  readonly kvAddress: string
  readonly epoch: Epoch
  readonly isLive: boolean
  /** `waiting` holds no block. */
  phase: 'waiting' | 'reserved' | 'closed' = 'waiting'
  numHeldBlocks = 0
  /** The first one is the lead's. */
  #tracks: readonly BlockTrack[] = []
  readonly #blockSize: number
  /** Blocks whose contents the engine is about to write: they stay held until it has. */
  numInstalling = 0
  /** Failed pulls per choice and first block. */
  readonly numFailures = new Map<string, number>()
  /** The hand-off, when blocks are still missing. */
  handed: { readonly message: HandOffMessage; readonly atMs: number } | null = null
  lastHeardMs: number
  /** Choices that were aborted before they were taken. */
  readonly aborted = new Set<number>()

  constructor(request: InstanceRequest, from: ReservationStart) {
    this.request = request
    this.source = from.source
    this.kvAddress = from.kvAddress
    this.epoch = request.message.epoch
    this.isLive = from.isLive
    this.#blockSize = from.blockSize
    this.lastHeardMs = from.nowMs
  }

  get requestId(): string {
    return this.request.message.requestId
  }

  get numSequences(): number {
    return this.request.live.length
  }

  /** The slot whose table the prompt is pulled into. */
  get leadSlot(): EngineSlot {
    return this.request.live[0]!.slot!
  }

  get isComplete(): boolean {
    if (this.phase !== 'reserved' || this.handed === null || this.numInstalling > 0) return false
    if (!this.isLive) return this.#tracks.every(({ isComplete }) => isComplete)
    const handed = new Map(this.handed.message.sequences.map((sequence) => [sequence.index, sequence]))
    return this.#tracks.every((track) => {
      const tokenIds = handed.get(track.sequence.index)?.tokenIds
      return tokenIds === undefined ? track.isComplete : track.holds(this.request.promptLen + Math.max(0, tokenIds.length - 1))
    })
  }

  /** Tables whose blocks it holds. */
  *tables(): Generator<readonly number[]> {
    for (const { slot } of this.request.live) if (slot !== null) yield slot.table.blockIds
  }

  /** The blocks that offers of this choice are about; null: it has none here. */
  trackOf(sequence: number): BlockTrack | null {
    if (!this.isLive) return this.#tracks[0] ?? null
    return this.#tracks.find((track) => track.sequence.index === sequence) ?? null
  }

  /** Its blocks are there; the leading `numHeldBlocks` of the prompt have their contents already. */
  reserve(numHeldBlocks: number): void {
    this.phase = 'reserved'
    this.numHeldBlocks = numHeldBlocks
    const { live, promptLen } = this.request
    const sharedBlocks = Math.floor(promptLen / this.#blockSize)
    const promptBlocks = blocksFor(promptLen, this.#blockSize)
    this.#tracks = this.isLive
      ? live.map((sequence, place) => new BlockTrack(sequence, sequence.slot!.table.blockIds.length, place === 0 ? numHeldBlocks : sharedBlocks))
      : [new BlockTrack(live[0]!, promptBlocks, numHeldBlocks)]
  }

  /** These blocks have their contents; the unbroken run from the prompt's start goes into the prefix index. */
  install(track: BlockTrack, blocks: readonly number[], prefixes: PrefixWriter): void {
    for (const block of blocks) track.mark(block)
    if (track !== this.#tracks[0]) return
    const { slot } = track
    const place = track.unbrokenFrom(Math.floor(slot.kvTokens / this.#blockSize))
    slot.kvTokens = Math.min(place * this.#blockSize, this.request.promptLen)
    prefixes.indexWritten(track.sequence, slot)
  }

  /**
   * Turns it into a request that decodes from here on: its choices get their tokens, and the first of them that goes on the table
   * with the prompt. Returns the slots of those that do not go on: their blocks are the caller's to release.
   */
  take({ epoch, sequences }: HandOffMessage, prefixes: PrefixWriter): readonly EngineSlot[] {
    const { request } = this
    const handed = new Map(sequences.filter(({ index }) => !this.aborted.has(index)).map((sequence) => [sequence.index, sequence]))
    const { leadSlot } = this
    const slots = request.live.map(({ slot }) => slot!)
    request.message = { ...request.message, epoch, handOffTo: null }
    request.sequences = restored(request, handed)
    request.live = request.sequences.filter(({ log }) => log.end === null)
    for (const sequence of request.sequences) if (sequence.log.end !== null) sequence.state = 'finished'
    if (this.isLive) this.#goOn(prefixes)
    else this.#startBehindPrompt(leadSlot, prefixes)
    const kept = new Set(request.live.map(({ slot }) => slot))
    for (const sequence of request.sequences) if (!request.live.includes(sequence)) sequence.slot = null
    this.phase = 'closed'
    return slots.filter((slot) => !kept.has(slot))
  }

  #startBehindPrompt(leadSlot: EngineSlot, prefixes: PrefixWriter): void {
    const { request } = this
    const heir = request.live[0]
    if (heir !== undefined && heir.slot !== leadSlot) heir.slot = leadSlot
    for (const { slot } of request.live) if (slot !== null && slot !== leadSlot) prefixes.startBehindPrompt(request, slot)
  }

  /** Every choice goes on behind its last token but one, in its own blocks. */
  #goOn(prefixes: PrefixWriter): void {
    const { request } = this
    for (const sequence of request.live) {
      const slot = sequence.slot!
      if (sequence !== this.#tracks[0]?.sequence) prefixes.startBehindPrompt(request, slot)
      slot.kvTokens = sequence.settledKvTokens
      prefixes.indexWritten(sequence, slot)
    }
  }
}

/** The choices that were handed over, with their logs; those that ended in the source, be it before they moved, come back among them. */
function restored(request: InstanceRequest, handed: ReadonlyMap<number, HandedSequence>): Sequence[] {
  const known = new Map(request.sequences.map((sequence) => [sequence.index, sequence]))
  const sequences: Sequence[] = []
  for (const [index, { timing, finish }] of handed) {
    const sequence = known.get(index) ?? (finish === null ? undefined : new Sequence(request, index))
    if (sequence === undefined) continue
    sequence.log = TokenLog.handed(handed.get(index)!)
    sequence.carriedTiming = timing
    sequence.hasEmittedHere = true
    sequences.push(sequence)
  }
  for (const sequence of request.sequences) if (!sequences.includes(sequence)) sequence.state = 'dropped'
  return sequences
}
