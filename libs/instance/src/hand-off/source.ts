// Hands requests over to the instances that shall decode them: prompts while they are computed here (stages: cells), and live
// requests while they decode here (stages: migration/stages.ts).
//
//   admitted | moved -> reserving -> streaming -> handed -> (taken) gone
//                           |            |           |
//                           +------------+           +-- declined under the raised epoch --> kept
//                           |                        +-- destination gone: a prompt on its router's word or after 10 s, a live request at once --> dropped
//                           +-- declined, no answer for 10 s, three failed offers of one range, destination gone --> kept
//                           +-- live: preempted, a choice ended --> kept
//
// 1. Until `handed` the request is this instance's: whatever fails, it is kept and decodes here. After it only the
//    destination's `declined` under the raised epoch, or another router's attach, gives it back.
// 2. Every offered block stays unchanged until its request is taken, kept or gone: the slot of the running prompt holds
//    it, and pins do from the prompt's end on.
// 3. Nothing is offered before `reserved`: a destination without room lets the prompt wait here, with its blocks.
// 4. A destination that has room for what this instance has no part in any more is told so: it missed the abort.
// 5. A live request that is kept goes on under a hop above the one that it was to have there: that promise is never used again.
import type { Address, Completion, EffectId } from '@rubato/actor'
import type { BlockPool } from '@rubato/kv'
import type { RunningSet } from '../batch/running-set.ts'
import type { EffectList } from '../effects.ts'
import { compareEpochs } from '../epoch.ts'
import type { InstanceConfig } from '../instance-config.ts'
import type { DeclinedMessage, NotPulledMessage, ReservedMessage, TakenMessage } from '../peer-messages.ts'
import type { EngineSlot } from '../request/engine-slot.ts'
import type { InstanceRequest } from '../request/request.ts'
import type { MoveEnd } from '../migration/migrations.ts'
import { nextStage } from '../migration/stages.ts'
import type { Outbox } from '../report/outbox.ts'
import type { SharedTimer } from '../report/shared-timer.ts'
import { OutgoingHandOff } from './outgoing.ts'
import type { BlockRange, Offer, OutgoingTrack } from './outgoing.ts'
import { SourceMessages } from './source-messages.ts'

export const REPEAT_MS = 1000
/** Without a word from the other side the hand-off is over. */
export const SILENCE_MS = 10_000
/** The reservation is kept alive this often while the prompt runs. */
const KEEP_ALIVE_MS = 3000
export const MAX_ATTEMPTS = 3
const MAX_OFFER_BYTES = 64 << 20
/** Reading it out between two steps delays the next one: that of a request that decodes meanwhile. */
const MAX_LIVE_OFFER_BYTES = 1 << 20

export interface SourceParts {
  readonly config: InstanceConfig
  readonly pool: BlockPool
  readonly running: RunningSet
  readonly effects: EffectList
  readonly outbox: Outbox
  readonly timer: SharedTimer
  /** Frees all of a request that is another instance's now. */
  readonly drop: (request: InstanceRequest, nowMs: number) => void
  /** The request decodes here after all, from now on. */
  readonly onKeep: (request: InstanceRequest, nowMs: number) => void
  /** A stage of a live request's copy was sent. */
  readonly onStage: (outgoing: OutgoingHandOff, nowMs: number) => void
  /** A live request moved, or stays. */
  readonly onMoveEnd: (outgoing: OutgoingHandOff, end: MoveEnd, nowMs: number) => void
}

export class HandOffSource {
  readonly #parts: SourceParts
  readonly #say: SourceMessages
  readonly #maxOfferBlocks: { readonly prompt: number; readonly live: number }
  readonly #outgoing = new Map<string, OutgoingHandOff>()
  readonly #serves = new Map<EffectId, { readonly outgoing: OutgoingHandOff; readonly offer: Offer }>()
  #numOffers = 0

  constructor(parts: SourceParts) {
    this.#parts = parts
    this.#say = new SourceMessages(parts)
    const blocksOf = (sizeBytes: number): number => Math.max(1, Math.floor(sizeBytes / parts.config.shape.blockBytes))
    this.#maxOfferBlocks = { prompt: blocksOf(MAX_OFFER_BYTES), live: blocksOf(MAX_LIVE_OFFER_BYTES) }
  }

  /** Blocks held apart from any choice, for integrity checks. */
  *pins(): Generator<readonly number[]> {
    for (const outgoing of this.#outgoing.values()) yield* outgoing.pins()
  }

  /** Throws when requests and hand-offs disagree. */
  assertIntegrity(): void {
    for (const outgoing of this.#outgoing.values()) {
      const { request, isPinned } = outgoing
      if (request.handOff !== outgoing) throw new Error(`hand-off: request ${request.message.requestId} does not know that it is handed over`)
      if (isPinned !== (request.state === 'handing')) throw new Error(`hand-off: request ${request.message.requestId} is ${request.state} with ${isPinned ? '' : 'no '}pins`)
    }
    for (const [effectId, { offer }] of this.#serves) if (offer.effectId !== effectId) throw new Error('hand-off: a serve without its offer')
  }

  /** Withdraws every offer: the instance is at its end. */
  stop(): void {
    for (const { offers } of this.#outgoing.values()) for (const offer of offers.values()) this.#cancelServe(offer)
  }

  /** The request joined the batch here: its destination is to make room. Recomputed requests stay, as what they emitted is not prompt. */
  admitted(request: InstanceRequest, nowMs: number): void {
    const { config } = this.#parts
    if (!request.mayHandOff || request.handOff !== null) return
    request.mayHandOff = false
    const isFresh = request.message.emittedIds.every(({ length }) => length === 0)
    if (!isFresh || (config.kvShipping ?? null) === null || request.message.handOffTo!.address === config.address) return
    this.#begin(request, request.message.handOffTo!.address, null, nowMs)
  }

  /** A request that decodes here is to go on there. It must be movable (migration/choice.ts). */
  move(request: InstanceRequest, { to, maxStages }: { readonly to: Address; readonly maxStages: number }, nowMs: number): void {
    this.#begin(request, to, maxStages, nowMs)
  }

  /** Live requests on their way. */
  get numMoving(): number {
    let count = 0
    for (const { live } of this.#outgoing.values()) if (live !== null) count++
    return count
  }

  /** Whether some request waits for room at that address. */
  waitsFor(address: Address): boolean {
    for (const { phase, live, to } of this.#outgoing.values()) if (live === null && phase === 'reserving' && to === address) return true
    return false
  }

  promptEnded(request: InstanceRequest, leadSlot: EngineSlot): void {
    const outgoing = request.handOff
    if (outgoing === null) return
    const [track] = outgoing.tracks
    this.#pin(track!, leadSlot.table.blockIds.slice(0, track!.endBlock))
  }

  /** After a commit: new blocks are final, prompts may be complete. */
  progress(nowMs: number): void {
    for (const outgoing of this.#outgoing.values()) this.#advance(outgoing, nowMs, true)
  }

  /** Its blocks are taken away; it offers again what nobody got once they are computed again, which gives the same bits. */
  preempted({ handOff: outgoing }: InstanceRequest, nowMs: number): void {
    if (outgoing === null) return
    if (outgoing.live !== null) return this.#keepAndTell(outgoing, 'preempted', nowMs)
    for (const offer of outgoing.offers.values()) if (offer.effectId !== null) this.#withdraw(outgoing, offer, 0)
  }

  /** The request ended or was dropped here; the destination's part of it ends too. */
  left(request: InstanceRequest, nowMs: number): void {
    const outgoing = request.handOff
    if (outgoing === null) return
    this.#forget(outgoing)
    if (outgoing.live !== null) this.#parts.onMoveEnd(outgoing, 'ended', nowMs)
    if (outgoing.goneAtMs === null) this.#sayAbort(outgoing, null)
  }

  choiceLeft({ handOff: outgoing, state }: InstanceRequest, index: number, nowMs: number): void {
    if (outgoing === null) return
    if (outgoing.live !== null && state !== 'handing') this.#keepAndTell(outgoing, 'ended', nowMs)
    else this.#sayAbort(outgoing, index)
  }

  reserved(message: ReservedMessage, from: Address, nowMs: number): void {
    const outgoing = this.#answered(message, from, nowMs)
    if (outgoing === null) return this.#say.abort(from, message, null)
    if (compareEpochs(message.epoch, outgoing.epoch) !== 0 || outgoing.phase !== 'reserving') return
    outgoing.phase = 'streaming'
    outgoing.skipHeld(message.numHeldBlocks)
    this.#advance(outgoing, nowMs)
  }

  declined(message: DeclinedMessage, from: Address, nowMs: number): void {
    const outgoing = this.#answered(message, from, nowMs)
    if (outgoing === null) return
    const named = outgoing.phase === 'handed' ? outgoing.raisedEpoch : outgoing.epoch
    if (compareEpochs(message.epoch, named) === 0) this.#keep(outgoing, 'declined', nowMs)
  }

  notPulled({ token, ...message }: NotPulledMessage, from: Address, nowMs: number): void {
    const outgoing = this.#answered(message, from, nowMs)
    const offer = outgoing?.offers.get(token)
    if (outgoing !== null && offer !== undefined) this.#offerFailed(outgoing, offer, nowMs)
  }

  taken(message: TakenMessage, from: Address, nowMs: number): void {
    const outgoing = this.#answered(message, from, nowMs)
    if (outgoing === null || outgoing.phase !== 'handed' || compareEpochs(message.epoch, outgoing.raisedEpoch) !== 0) return
    this.#forget(outgoing)
    if (outgoing.live !== null) this.#parts.onMoveEnd(outgoing, 'taken', nowMs)
    this.#parts.drop(outgoing.request, nowMs)
  }

  /** Another router took the request over where it is: here it goes on, and the destination drops what it has. */
  keep(request: InstanceRequest, nowMs: number): void {
    if (request.handOff !== null) this.#keepAndTell(request.handOff, 'attached', nowMs)
  }

  gone(address: Address, nowMs: number): void {
    for (const outgoing of this.#outgoing.values()) {
      if (outgoing.to !== address || outgoing.goneAtMs !== null) continue
      if (outgoing.phase !== 'handed') this.#keep(outgoing, 'gone', nowMs)
      else if (outgoing.live !== null && !outgoing.request.isOrphan) this.#lose(outgoing, nowMs)
      else {
        outgoing.goneAtMs = nowMs
        this.#askRouter(outgoing)
        this.#parts.timer.wakeBy(nowMs + REPEAT_MS, nowMs)
      }
    }
  }

  /** True when the completed effect was a serve of this side. */
  served({ effectId, outcome }: Completion, nowMs: number): boolean {
    const serve = this.#serves.get(effectId)
    if (serve === undefined) return false
    const { outgoing, offer } = serve
    this.#serves.delete(effectId)
    offer.effectId = null
    if (outcome.kind === 'failed') this.#offerFailed(outgoing, offer, nowMs)
    else if (outcome.kind === 'rejected') this.#withdraw(outgoing, offer, 0)
    return true
  }

  /** Repeats what was not answered and gives up what never will be. */
  tick(nowMs: number): void {
    let nextMs: number | null = null
    for (const outgoing of this.#outgoing.values()) {
      const dueMs = this.#repeat(outgoing, nowMs)
      if (this.#outgoing.get(outgoing.request.message.requestId) === outgoing) nextMs = Math.min(nextMs ?? dueMs, dueMs)
    }
    if (nextMs !== null) this.#parts.timer.wakeBy(nextMs, nowMs)
  }

  /** Returns when it wants to be looked at again. */
  #repeat(outgoing: OutgoingHandOff, nowMs: number): number {
    const { phase, goneAtMs, request } = outgoing
    if (goneAtMs !== null) {
      if (nowMs >= goneAtMs + SILENCE_MS) this.#parts.drop(request, nowMs)
      else this.#askRouter(outgoing)
      return Math.min(goneAtMs + SILENCE_MS, nowMs + REPEAT_MS)
    }
    if (phase !== 'handed' && nowMs >= outgoing.lastHeardMs + SILENCE_MS) {
      this.#keepAndTell(outgoing, 'silent', nowMs)
      return nowMs
    }
    const intervalMs = phase === 'streaming' ? KEEP_ALIVE_MS : REPEAT_MS
    if (nowMs >= outgoing.lastSaidMs + intervalMs) {
      if (phase === 'handed') this.#say.handOff(outgoing, nowMs)
      else this.#say.reserve(outgoing, nowMs)
      for (const offer of outgoing.offers.values()) if (offer.effectId !== null) this.#say.offer(outgoing, offer)
    }
    if (phase !== 'reserving') this.#offerReady(outgoing, Number.MAX_SAFE_INTEGER)
    this.#handOverIfReady(outgoing, nowMs)
    const repeatMs = outgoing.lastSaidMs + REPEAT_MS
    return repeatMs > nowMs ? repeatMs : nowMs + REPEAT_MS
  }

  /** It computes the request anew, or has no use for it: then its abort got lost, and it says so again. */
  #askRouter({ request }: OutgoingHandOff): void {
    for (const sequence of request.sequences) this.#parts.outbox.add(sequence, sequence.log.unheard())
  }

  #begin(request: InstanceRequest, to: Address, maxStages: number | null, nowMs: number): void {
    const { config, timer } = this.#parts
    const outgoing = new OutgoingHandOff(request, { to, blockSize: config.shape.blockSize, nowMs, maxStages })
    request.handOff = outgoing
    this.#outgoing.set(request.message.requestId, outgoing)
    this.#say.reserve(outgoing, nowMs)
    timer.wakeBy(nowMs + REPEAT_MS, nowMs)
  }

  #advance(outgoing: OutgoingHandOff, nowMs: number, isBetweenSteps = false): void {
    const isCopying = outgoing.live !== null && outgoing.request.state !== 'handing'
    if (isCopying && outgoing.hasLostChoice) return this.#keepAndTell(outgoing, 'ended', nowMs)
    if (outgoing.phase === 'reserving' || outgoing.goneAtMs !== null) return
    if (isCopying) this.#advanceStage(outgoing, isBetweenSteps, nowMs)
    this.#offerReady(outgoing, MAX_ATTEMPTS)
    this.#handOverIfReady(outgoing, nowMs)
  }

  #advanceStage(outgoing: OutgoingHandOff, isBetweenSteps: boolean, nowMs: number): void {
    const next = nextStage(outgoing, isBetweenSteps)
    if (next === 'wait') return
    if (outgoing.live!.numStages > 0) this.#parts.onStage(outgoing, nowMs)
    if (next === 'suspend') this.#suspend(outgoing, nowMs)
    outgoing.beginStage(nowMs)
  }

  /** It leaves the batch, between two steps; nothing writes its blocks any more. */
  #suspend(outgoing: OutgoingHandOff, nowMs: number): void {
    this.#parts.running.suspend(outgoing.request)
    outgoing.live!.suspendedMs = nowMs
    for (const track of outgoing.tracks) this.#pin(track, track.sequence.slot!.table.blockIds.slice(0, outgoing.finalBlocks(track)))
  }

  #pin(track: OutgoingTrack, blockIds: readonly number[]): void {
    this.#parts.pool.share(blockIds)
    track.pins = blockIds
  }

  #offerReady(outgoing: OutgoingHandOff, maxAttempt: number): void {
    const maxBlocks = outgoing.live === null ? this.#maxOfferBlocks.prompt : this.#maxOfferBlocks.live
    for (const track of outgoing.tracks) {
      const blockIds = outgoing.readyBlocks(track)
      for (const range of outgoing.takeReady(track, maxBlocks, maxAttempt)) this.#offer(outgoing, range, blockIds)
    }
  }

  #handOverIfReady(outgoing: OutgoingHandOff, nowMs: number): void {
    if (outgoing.phase !== 'streaming' || outgoing.request.state !== 'handing' || !outgoing.isOffered) return
    outgoing.phase = 'handed'
    this.#say.handOff(outgoing, nowMs)
  }

  #offer(outgoing: OutgoingHandOff, range: BlockRange, ready: readonly number[]): void {
    const { requestId, trace } = outgoing.request.message
    const { epoch } = outgoing
    const token = this.#parts.config.kvShipping!.signOffer(`${requestId}/${epoch.recovery}.${epoch.hop}/${range.sequence}/${range.firstBlock}/${++this.#numOffers}`)
    const blockIds = ready.slice(range.firstBlock, range.firstBlock + range.numBlocks)
    const effectId = this.#parts.effects.kvServe({ token, requestId, epoch, blockIds, ...(trace === null ? {} : { trace }) })
    const offer: Offer = { ...range, token, effectId }
    outgoing.offers.set(token, offer)
    this.#serves.set(effectId, { outgoing, offer })
    this.#say.offer(outgoing, offer)
  }

  #offerFailed(outgoing: OutgoingHandOff, offer: Offer, nowMs: number): void {
    if (!outgoing.offers.has(offer.token)) return
    if (offer.attempt >= MAX_ATTEMPTS && outgoing.phase !== 'handed') return this.#keepAndTell(outgoing, 'link_failed', nowMs)
    this.#withdraw(outgoing, offer, 1)
    this.#advance(outgoing, nowMs)
  }

  /** The range is to be offered again, under another token. */
  #withdraw(outgoing: OutgoingHandOff, offer: Offer, numFailures: 0 | 1): void {
    if (!outgoing.offers.delete(offer.token)) return
    this.#cancelServe(offer)
    const { sequence, firstBlock, numBlocks, attempt } = offer
    outgoing.again.push({ sequence, firstBlock, numBlocks, attempt: attempt + numFailures })
  }

  #cancelServe(offer: Offer): void {
    if (offer.effectId === null) return
    this.#parts.effects.cancel(offer.effectId)
    this.#serves.delete(offer.effectId)
    offer.effectId = null
  }

  #sayAbort({ to, epoch, request: { message: { requestId } } }: OutgoingHandOff, sequence: number | null): void {
    this.#say.abort(to, { requestId, epoch }, sequence)
  }

  #keepAndTell(outgoing: OutgoingHandOff, end: MoveEnd, nowMs: number): void {
    this.#sayAbort(outgoing, null)
    this.#keep(outgoing, end, nowMs)
  }

  #keep(outgoing: OutgoingHandOff, end: MoveEnd, nowMs: number): void {
    const { request, live, epoch } = outgoing
    this.#forget(outgoing)
    if (live !== null) {
      request.message = { ...request.message, epoch: { recovery: epoch.recovery, hop: epoch.hop + 2 } }
      this.#parts.onMoveEnd(outgoing, end, nowMs)
    }
    if (request.state !== 'handing') return
    this.#parts.running.resume(request)
    if (live === null) this.#parts.onKeep(request, nowMs)
  }

  /** Whoever has it is dead. Its router, which knows this instance alone, computes it anew. */
  #lose(outgoing: OutgoingHandOff, nowMs: number): void {
    this.#forget(outgoing)
    this.#parts.onMoveEnd(outgoing, 'lost', nowMs)
    this.#parts.drop(outgoing.request, nowMs)
  }

  #forget(outgoing: OutgoingHandOff): void {
    const { request } = outgoing
    for (const offer of outgoing.offers.values()) this.#cancelServe(offer)
    for (const track of outgoing.tracks) {
      if (track.pins !== null) this.#parts.pool.release(track.pins)
      track.pins = null
    }
    request.handOff = null
    this.#outgoing.delete(request.message.requestId)
  }

  /** The hand-off that a peer's answer belongs to; it counts as a sign of life. */
  #answered({ requestId }: { readonly requestId: string }, from: Address, nowMs: number): OutgoingHandOff | null {
    const outgoing = this.#outgoing.get(requestId)
    if (outgoing === undefined || outgoing.to !== from) return null
    outgoing.lastHeardMs = nowMs
    return outgoing
  }
}
