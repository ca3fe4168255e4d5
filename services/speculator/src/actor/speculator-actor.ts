// The speculator: one draft model for many instances. Messages in, commands for the draft model and answers out.
//
//   ask ──> known? ──no──> `unknown`: told again with the next ask
//            │yes
//            └──> queue (instances take turns) ──> batch ──> tree ──> answer, once each of its sequences had its turn
//
// 1. One command is with the draft model at a time; whatever arrives meanwhile, from all instances, makes the next batch.
// 2. Drafts go before preparations, but for one preparation in PATIENCE_BATCHES: a sequence that is far behind is computed ahead in
//    slices, and nobody's draft waits for more than one of them.
// 3. Everything waiting is bounded: sessions, sequences, drafts. A newer ask for a sequence takes the place of an older one.
// 4. What one instance says wrong ends its session and nothing else.
import type { Actor, Address, Completion, EffectId, Incoming } from '@rubato/actor'
import type { AskedSequence, DraftAsk, DraftNews, DraftPeer, DraftRefusal, DraftRequestMessage } from '@rubato/model'
import type { DraftOutcome, DraftRun } from '../engine/draft-command.ts'
import { problemOfAsk, problemOfNews, problemOfPeer } from './check-message.ts'
import { SpeculatorCounts } from './counts.ts'
import type { SpeculatorSnapshot } from './counts.ts'
import { DraftQueue } from './draft-queue.ts'
import type { QueuedDraft } from './draft-queue.ts'
import { EffectList } from './effects.ts'
import type { SpeculatorEffect } from './effects.ts'
import { OpenAsk } from './open-ask.ts'
import { Sessions } from './sessions.ts'
import type { KnownSequence, Session } from './sessions.ts'

export interface SpeculatorConfig {
  /** What it drafts in; instances with another vocabulary are refused. */
  readonly vocabulary: string
  readonly vocabSize: number
  /** Sequences it knows at a time, the least recently used forgotten. @default 4096 */
  readonly maxSequences?: number
  /** @default 256 */
  readonly maxSessions?: number
  /** Drafts that may wait; more are refused. @default 4096 */
  readonly maxQueued?: number
}

/** From the speculator's own process: it is leaving. */
export interface SpeculatorDrainMessage {
  readonly kind: 'drain'
}

export type SpeculatorMessage = DraftRequestMessage | SpeculatorDrainMessage

interface Running {
  readonly effectId: EffectId
  readonly batch: readonly QueuedDraft[]
  readonly prepared: KnownSequence | null
}

const MAX_SEQUENCES = 4096
const MAX_SESSIONS = 256
const MAX_QUEUED = 4096
/** Rows of a batch: what one draft may wait for, with all others before it. */
const MAX_BATCH_ROWS = 256
const SLICE_TOKENS = 32
const PATIENCE_BATCHES = 4

export class SpeculatorActor implements Actor<SpeculatorMessage, SpeculatorEffect> {
  readonly #config: SpeculatorConfig
  readonly #effects = new EffectList()
  readonly #counts = new SpeculatorCounts()
  readonly #sessions: Sessions
  readonly #queue = new DraftQueue()
  /** Sequences that are far behind, in order of arrival. */
  readonly #behind = new Set<KnownSequence>()
  #running: Running | null = null
  #batchesSincePreparation = 0
  #isDraining = false

  constructor(config: SpeculatorConfig) {
    this.#config = config
    this.#sessions = new Sessions(config.maxSequences ?? MAX_SEQUENCES, (sequence) => this.#dropped(sequence))
  }

  start(): readonly SpeculatorEffect[] {
    return []
  }

  receive(incoming: Incoming<SpeculatorMessage>, nowMs: number): readonly SpeculatorEffect[] {
    if (incoming.kind === 'message') this.#handle(incoming.payload, incoming.from, nowMs)
    else if (incoming.effectId === this.#running?.effectId) this.#complete(this.#running, incoming)
    if (this.#running === null) this.#runNext(nowMs)
    return this.#effects.take()
  }

  snapshot(): SpeculatorSnapshot {
    return { ...this.#counts.total, numSessions: this.#sessions.numSessions, numSequences: this.#sessions.numSequences, numQueued: this.#queue.size }
  }

  /** Throws when its books disagree. O(sequences): for tests. */
  assertIntegrity(): void {
    this.#sessions.assertIntegrity()
    for (const sequence of this.#behind) if (!this.#sessions.isKnown(sequence)) throw new Error(`sequence ${sequence.key} is behind and gone`)
  }

  #handle(message: SpeculatorMessage, from: Address, nowMs: number): void {
    switch (message.kind) {
      case 'draft-hello':
        return this.#greet(message.peer, from)
      case 'draft-bye':
        return this.#sessions.close(from)
      case 'drain':
        this.#isDraining = true
        for (const { address } of this.#sessions) this.#refuse(address, 'draining', 'the speculator is leaving')
        return
      case 'draft-ask':
        return this.#withSession(from, (session) => this.#ask(message.ask, session, nowMs))
      case 'draft-news':
        return this.#withSession(from, (session) => this.#hear(message.news, session))
    }
  }

  #greet(peer: DraftPeer, from: Address): void {
    const { vocabulary, vocabSize, maxSessions = MAX_SESSIONS } = this.#config
    const isNew = this.#sessions.get(from) === undefined
    this.#sessions.close(from)
    if (this.#isDraining) return this.#refuse(from, 'draining', 'the speculator is leaving')
    if (peer.vocabulary !== vocabulary || peer.vocabSize !== vocabSize) return this.#refuse(from, 'other_vocabulary', `token ids mean something else here: ${vocabSize} tokens ${vocabulary.slice(0, 12)}, not ${peer.vocabSize} tokens ${peer.vocabulary.slice(0, 12)}`)
    const problem = problemOfPeer(peer)
    if (problem !== null) return this.#refuse(from, 'malformed', problem)
    if (isNew && this.#sessions.numSessions >= maxSessions) return this.#refuse(from, 'busy', `${maxSessions} instances are served already`)
    this.#sessions.open(from, peer)
  }

  #withSession(from: Address, handle: (session: Session) => void): void {
    const session = this.#sessions.get(from)
    if (session === undefined) this.#refuse(from, 'stranger', 'there was no hello')
    else handle(session)
  }

  /** Ends the session, if there is one. */
  #refuse(to: Address, reason: DraftRefusal, message: string): void {
    this.#counts.refused(reason)
    this.#sessions.close(to)
    this.#effects.reply(to, { kind: 'draft-refused', askId: null, reason, message })
  }

  #hear(news: DraftNews, session: Session): void {
    const problem = problemOfNews(news, session.peer)
    if (problem !== null) return this.#refuse(session.address, 'malformed', problem)
    for (const handle of news.forget) this.#sessions.forget(session, handle)
    for (const tokens of news.sequences) {
      const sequence = this.#sessions.take(session, tokens)
      if (sequence !== null) this.#behind.add(sequence)
    }
  }

  #ask(ask: DraftAsk, session: Session, nowMs: number): void {
    const { maxQueued = MAX_QUEUED } = this.#config
    const problem = problemOfAsk(ask, session.peer)
    if (problem !== null) return this.#refuse(session.address, 'malformed', problem)
    if (this.#queue.size + ask.sequences.length > maxQueued) {
      this.#counts.total.asksTotal.busy += 1
      return this.#effects.reply(session.address, { kind: 'draft-refused', askId: ask.askId, reason: 'busy', message: `${this.#queue.size} drafts wait` })
    }
    const open = new OpenAsk(session, ask, nowMs)
    for (const asked of ask.sequences) this.#enqueue(open, asked)
    if (open.isSettled) this.#settle(open)
  }

  #enqueue(ask: OpenAsk, { maxDepth, ...tokens }: AskedSequence): void {
    const sequence = this.#sessions.take(ask.session, tokens)
    if (sequence === null) {
      this.#counts.total.draftsTotal.unknown += 1
      return ask.isUnknown(tokens.handle)
    }
    const older = this.#queue.add({ sequence, ask, maxDepth })
    if (older !== null) this.#giveUp(older, 'superseded')
  }

  #dropped(sequence: KnownSequence): void {
    this.#behind.delete(sequence)
    const draft = this.#queue.remove(sequence)
    if (draft !== null) this.#giveUp(draft, 'superseded')
  }

  #giveUp({ ask }: QueuedDraft, how: 'superseded' | 'expired'): void {
    ask.giveUp()
    if (!ask.isSettled) return
    if (ask.isGivenUp) this.#counts.total.asksTotal[how] += 1
    else this.#settle(ask)
  }

  #settle(ask: OpenAsk): void {
    this.#counts.answered(ask.queueMs)
    this.#effects.reply(ask.session.address, { kind: 'draft-answer', answer: ask.answer() })
  }

  /** The next command, when there is something to do. */
  #runNext(nowMs: number): void {
    const isPreparationDue = this.#behind.size > 0 && this.#batchesSincePreparation >= PATIENCE_BATCHES
    const batch = isPreparationDue ? [] : this.#nextBatch(nowMs)
    const prepared = batch.length === 0 ? this.#nextBehind() : null
    if (batch.length === 0 && prepared === null && !this.#sessions.hasForgotten) return
    for (const { ask } of batch) ask.started(nowMs)
    const tidings = this.#sessions.tidingsOf(prepared === null ? batch.map(({ sequence }) => sequence) : [prepared])
    const effectId = this.#effects.run({
      forget: this.#sessions.takeForgotten(),
      ...tidings,
      draft: batch.map(({ sequence: { key }, maxDepth, ask: { depth, width, calibration, leastProbability } }) => ({ key, maxDepth, depth, width, calibration, leastProbability })),
      prepare: prepared === null ? [] : [{ key: prepared.key, maxTokens: SLICE_TOKENS }],
    })
    this.#running = { effectId, batch, prepared }
    this.#batchesSincePreparation = prepared === null ? this.#batchesSincePreparation + 1 : 0
  }

  #nextBatch(nowMs: number): readonly QueuedDraft[] {
    const { batch, expired } = this.#queue.take(MAX_BATCH_ROWS, nowMs)
    for (const draft of expired) this.#giveUp(draft, 'expired')
    return batch
  }

  #nextBehind(): KnownSequence | null {
    const [sequence = null] = this.#behind
    return sequence
  }

  #complete(running: Running, { outcome }: Completion): void {
    this.#running = null
    if (outcome.kind !== 'done') return this.#lostAll(running)
    const { outcomes, draftMs, runMs, cpuMs } = outcome.value as DraftRun
    const { total } = this.#counts
    total.runMsTotal += runMs
    total.cpuMsTotal += cpuMs
    if (running.prepared !== null) this.#prepared(running.prepared, outcomes[0]!)
    if (running.batch.length === 0) return
    total.batchesTotal += 1
    total.batchedDraftsTotal += running.batch.length
    total.draftMsTotal += draftMs
    for (const ask of new Set(running.batch.map((draft) => draft.ask))) ask.ran(draftMs)
    for (const [place, draft] of running.batch.entries()) this.#drafted(draft, outcomes[place]!)
  }

  /** The others that are behind go before its next slice. */
  #prepared(sequence: KnownSequence, { state }: DraftOutcome): void {
    this.#counts.total.preparationsTotal += 1
    if (this.#behind.delete(sequence) && state === 'behind') this.#behind.add(sequence)
  }

  #drafted({ sequence, ask }: QueuedDraft, { state, tree }: DraftOutcome): void {
    const isKnown = this.#sessions.isKnown(sequence)
    if (state === 'behind' && isKnown) this.#behind.add(sequence)
    this.#counts.total.draftsTotal[state === 'ready' ? 'drafted' : 'behind'] += 1
    this.#counts.total.draftTokensTotal += tree?.tokenIds.length ?? 0
    const { handle, numTokens } = sequence
    // Tokens that came meanwhile wait for the next run: the tree hangs on what the model had been told.
    ask.drafted(tree === null || !isKnown ? null : { handle, numTokens: numTokens - sequence.untold.length, ...tree })
    if (ask.isSettled) this.#settle(ask)
  }

  /** The draft model died, and with it all that it knew: everybody tells everything again. */
  #lostAll({ batch }: Running): void {
    this.#counts.total.failuresTotal += 1
    this.#sessions.reset()
    this.#behind.clear()
    for (const { ask, sequence } of [...batch, ...this.#queue.clear()]) {
      ask.isUnknown(sequence.handle)
      if (ask.isSettled) this.#settle(ask)
    }
  }
}
