// One request on its way to another instance, as its source keeps it: how far the protocol is, and which blocks were offered.
//
// 1. A prompt has one track of blocks: what its first choice's table holds. A live request has one per choice; the blocks that
//    hold nothing but prompt are in the first one alone.
// 2. A block is offered once it is final; only those of a request that stands still include its partial last ones.
import type { Address, EffectId } from '@rubato/actor'
import { blocksFor } from '@rubato/kv'
import { timingOf } from '../batch/step-commit.ts'
import type { Epoch, GenerateMessage } from '../messages.ts'
import type { HandOffMessage } from '../peer-messages.ts'
import type { InstanceRequest, Sequence } from '../request/request.ts'
import { currentMessage } from '../request/located.ts'

/** Blocks [firstBlock, firstBlock + numBlocks) of one choice's table, offered for the `attempt`-th time. */
export interface BlockRange {
  /** Index of the choice. */
  readonly sequence: number
  readonly firstBlock: number
  readonly numBlocks: number
  readonly attempt: number
}

export interface Offer extends BlockRange {
  readonly token: string
  /** The serve under way; null once it ended, or while it cannot be used. */
  effectId: EffectId | null
}

/** The blocks of one choice. */
export interface OutgoingTrack {
  readonly sequence: Sequence
  /** Blocks below it were offered or need no offer. */
  nextBlock: number
  /** Blocks below it may be offered: those of the stages begun so far. */
  endBlock: number
  /** Held apart from the choice, which may end before the request is taken. */
  pins: readonly number[] | null
}

/** What a live request's copying is told of. */
export interface LiveCopy {
  /** Stages copied while it decodes, at most. */
  readonly maxStages: number
  /** Stages begun. */
  numStages: number
  stageStartMs: number
  stageBlocks: number
  /** When it left the batch; null: it decodes. */
  suspendedMs: number | null
}

export interface OutgoingStart {
  readonly to: Address
  readonly blockSize: number
  readonly nowMs: number
  /** It decodes while its blocks are copied, in this many stages at most; null: its prompt is computed. */
  readonly maxStages: number | null
}

export class OutgoingHandOff {
  readonly request: InstanceRequest
  readonly to: Address
  /** Under which it was reserved; the hand-off raises its hop. */
  readonly epoch: Epoch
  readonly tracks: readonly OutgoingTrack[]
  /** null: its prompt is computed here. */
  readonly live: LiveCopy | null
  phase: 'reserving' | 'streaming' | 'handed' = 'reserving'
  readonly startedMs: number
  lastSaidMs: number
  lastHeardMs: number
  /** When the destination was told gone after it may have taken the request. */
  goneAtMs: number | null = null
  /** Ranges to offer again. */
  again: BlockRange[] = []
  readonly offers = new Map<string, Offer>()
  readonly #blockSize: number

  constructor(request: InstanceRequest, { to, blockSize, nowMs, maxStages }: OutgoingStart) {
    this.request = request
    this.to = to
    this.epoch = request.message.epoch
    this.#blockSize = blockSize
    const sharedBlocks = Math.floor(request.promptLen / blockSize)
    const promptBlocks = blocksFor(request.promptLen, blockSize)
    this.tracks = maxStages !== null
      ? request.live.map((sequence, place) => ({ sequence, nextBlock: place === 0 ? 0 : sharedBlocks, endBlock: 0, pins: null }))
      : [{ sequence: request.live[0]!, nextBlock: 0, endBlock: promptBlocks, pins: null }]
    this.live = maxStages === null ? null : { maxStages, numStages: 0, stageStartMs: nowMs, stageBlocks: 0, suspendedMs: null }
    this.startedMs = nowMs
    this.lastSaidMs = nowMs
    this.lastHeardMs = nowMs
  }

  get raisedEpoch(): Epoch {
    return { recovery: this.epoch.recovery, hop: this.epoch.hop + 1 }
  }

  /** A live request that left the batch: every moment counts. */
  get isStandingStill(): boolean {
    return (this.live?.suspendedMs ?? null) !== null
  }

  /** Nothing of the tracks is left to offer. */
  get isOffered(): boolean {
    return this.again.length === 0 && this.tracks.every(({ nextBlock, endBlock }) => nextBlock >= endBlock)
  }

  /** Everything that was offered was sent. */
  get isSent(): boolean {
    if (!this.isOffered) return false
    for (const { effectId } of this.offers.values()) if (effectId !== null) return false
    return true
  }

  *pins(): Generator<readonly number[]> {
    for (const { pins } of this.tracks) if (pins !== null) yield pins
  }

  get isPinned(): boolean {
    return this.tracks.some(({ pins }) => pins !== null)
  }

  /** The destination's prefix index has these leading blocks. */
  skipHeld(numBlocks: number): void {
    const [lead] = this.tracks
    lead!.nextBlock = this.live === null ? Math.min(numBlocks, lead!.endBlock) : numBlocks
  }

  /** Final blocks of a track, from the first one on; none while it waits for its turn again. */
  readyBlocks({ sequence, pins, endBlock }: OutgoingTrack): readonly number[] {
    if (pins !== null) return pins
    const slot = (this.live === null ? this.request.lead : sequence)?.slot ?? null
    return slot === null ? [] : slot.table.blockIds.slice(0, Math.min(endBlock, Math.floor(slot.kvTokens / slot.table.blockSize)))
  }

  /** A choice that was to move with the others ended, or was aborted. */
  get hasLostChoice(): boolean {
    return this.request.live.length !== this.tracks.length
  }

  /** Blocks of a live choice that can be copied now: full ones, and where it stands still its partial one. */
  finalBlocks({ sequence: { slot } }: OutgoingTrack): number {
    if (slot === null) return 0
    return this.request.state === 'handing' ? blocksFor(slot.kvTokens, this.#blockSize) : Math.floor(slot.kvTokens / this.#blockSize)
  }

  /** All that is final by now may be offered. */
  beginStage(nowMs: number): void {
    const live = this.live!
    live.numStages++
    live.stageStartMs = nowMs
    live.stageBlocks = 0
    for (const track of this.tracks) {
      track.endBlock = Math.max(track.nextBlock, this.finalBlocks(track))
      live.stageBlocks += track.endBlock - track.nextBlock
    }
  }

  /** Ranges that can be offered now, retries first; they count as offered. Retries past `maxAttempt` stay where they are. */
  takeReady(track: OutgoingTrack, maxBlocks: number, maxAttempt: number): readonly BlockRange[] {
    const numReady = this.readyBlocks(track).length
    const sequence = track.sequence.index
    const isReady = (range: BlockRange): boolean => range.sequence === sequence && range.firstBlock + range.numBlocks <= numReady && range.attempt <= maxAttempt
    const ranges = this.again.filter(isReady)
    this.again = this.again.filter((range) => !isReady(range))
    for (; track.nextBlock < numReady; track.nextBlock += ranges.at(-1)!.numBlocks) {
      ranges.push({ sequence, firstBlock: track.nextBlock, numBlocks: Math.min(maxBlocks, numReady - track.nextBlock), attempt: 1 })
    }
    return ranges
  }

  /** The request as the destination is to see it: choices that ended here are not its business. */
  requestMessage(nowMs: number): GenerateMessage {
    if (this.live !== null) return { ...currentMessage(this.request, nowMs), handOffTo: null }
    const { message, live } = this.request
    const finishedSequences = message.emittedIds.map((_, index) => index).filter((index) => !live.some((sequence) => sequence.index === index))
    return { ...message, finishedSequences }
  }

  /** Made anew for every repeat: choices may have been aborted and tokens acknowledged since. */
  handOffMessage(): HandOffMessage {
    const numMoves = this.live === null ? 0 : 1
    const sequences = this.request.sequences.map((sequence) => {
      const timing = timingOf(sequence)
      return { index: sequence.index, ...sequence.log.handOver(), timing: { ...timing, migrations: timing.migrations + numMoves } }
    })
    return { kind: 'hand-off', requestId: this.request.message.requestId, epoch: this.raisedEpoch, sequences }
  }
}
