// Drafts from a speculator: asks for trees when a step's tokens are known, waits for them as long as that can pay, and goes on without
// them otherwise.
//
//   none ──ask──> awaited ──answer──> none
//                    │ patience over: a failure, the step goes on
//                    v
//                  late ──answer, or deadline──> none            (a probe begins as late: nothing waits for it)
//
// 1. One ask is out at a time, and every one of them ends: with its completion, or cancelled at its deadline.
// 2. Whatever fails costs a draft, never a token: late, garbled and missing answers count against the speculator's breaker.
// 3. A speculator is told of every sequence that it was told of and that is gone.
import type { Address, Completion, EffectId } from '@rubato/actor'
import type { AskedSequence, DraftAnswer, DraftAsk, DraftedTokens, DraftIntroduction } from '@rubato/model'
import type { EffectList } from '../../effects.ts'
import type { SharedTimer } from '../../report/shared-timer.ts'
import { problemOfAnswer } from './check-answer.ts'
import { KnownSpeculators } from './known-speculators.ts'
import type { Speculator, SpeculatorPeer } from './known-speculators.ts'
import { RemoteCounters } from './remote-counters.ts'
import type { RemoteDraftLoad } from './remote-counters.ts'

export interface RemoteDraftsParts {
  readonly instanceId: string
  readonly vocabSize: number
  /** Known from the start; others come by join. */
  readonly speculators: readonly SpeculatorPeer[]
  readonly effects: EffectList
  readonly timer: SharedTimer
}

/** A sequence as it is after the step that was just committed. */
export interface RemoteSequence {
  readonly handle: number
  readonly numTokens: number
  readonly introduction: DraftIntroduction
  /** Most levels worth drafting, >= 1. */
  readonly maxDepth: number
  /** Tokens [from, numTokens). */
  readonly tokensFrom: (from: number) => readonly number[]
}

export interface RemoteWish extends Pick<DraftAsk, 'depth' | 'width' | 'calibration' | 'leastProbability'> {
  /** How long the batch may wait: past that plain decoding would have been faster. */
  readonly patienceMs: number
}

/** Trees that came, and how long after they were asked for. */
export interface RemoteTrees extends Pick<DraftAnswer, 'trees'>, Pick<DraftAsk, 'depth' | 'leastProbability'> {
  readonly elapsedMs: number
  /** It drafted for what it knew but for what was new: its time is what later asks will take. */
  readonly isTypical: boolean
  /** The first in time from a speculator that had to prove itself. */
  readonly isFirst: boolean
}

interface OpenAsk {
  readonly effectId: EffectId
  readonly speculator: Speculator
  readonly ask: DraftAsk
  readonly askedMs: number
  readonly patienceMs: number
  readonly isTypical: boolean
  state: 'awaited' | 'late'
  hasFailed: boolean
}

/** A batch waits this long whatever is predicted, for a little noise in a short time, and never longer than that. */
const LEAST_PATIENCE_MS = 2
const MOST_PATIENCE_MS = 100
/** Nobody answers later than this many patiences, and not before LEAST_DEADLINE_MS: a first ask may have to connect. */
const DEADLINE_PATIENCES = 4
const LEAST_DEADLINE_MS = 50

export class RemoteDrafts {
  readonly #parts: RemoteDraftsParts
  readonly #speculators: KnownSpeculators
  readonly #counters = new RemoteCounters()
  #open: OpenAsk | null = null
  #lastAskId = 0

  constructor(parts: RemoteDraftsParts) {
    this.#parts = parts
    this.#speculators = new KnownSpeculators(parts.instanceId, parts.speculators)
  }

  join(peer: SpeculatorPeer): void {
    this.#speculators.join(peer)
  }

  /** Its stay is over; an ask that it has fails by itself. */
  lose(address: Address): void {
    this.#speculators.lose(address)
  }

  /** Some speculator may be asked. */
  canAsk(nowMs: number): boolean {
    return this.#speculators.choose(nowMs) !== null
  }

  /** The step waits for trees. */
  isAwaiting(nowMs: number): boolean {
    return this.#open !== null && this.#open.state === 'awaited' && nowMs < this.#open.askedMs + this.#open.patienceMs
  }

  /** Asks for trees, unless an earlier ask is still out or nobody may be asked. */
  ask(sequences: readonly RemoteSequence[], wish: RemoteWish, nowMs: number): void {
    const speculator = this.#open === null ? this.#speculators.choose(nowMs) : null
    if (speculator === null || sequences.length === 0) return
    const patienceMs = Math.min(MOST_PATIENCE_MS, Math.max(LEAST_PATIENCE_MS, wish.patienceMs))
    const remainingMs = Math.max(LEAST_DEADLINE_MS, DEADLINE_PATIENCES * patienceMs)
    const isTypical = sequences.every(({ handle }) => speculator.told.has(handle))
    const { depth, width, calibration, leastProbability } = wish
    const asked = sequences.map((sequence): AskedSequence => ({ ...told(speculator, sequence), maxDepth: sequence.maxDepth }))
    const ask: DraftAsk = { askId: ++this.#lastAskId, remainingMs, depth, width, calibration, leastProbability, sequences: asked }
    // Who was never told of any of these cannot have drafted for them in time.
    const isAwaited = speculator.breaker.isClosed && asked.some(({ introduction }) => introduction === null)
    this.#open = { effectId: this.#parts.effects.draft(speculator.endpoint, ask), speculator, ask, askedMs: nowMs, patienceMs, isTypical, state: isAwaited ? 'awaited' : 'late', hasFailed: false }
    this.#counters.asksTotal += 1
    this.#parts.timer.wakeBy(nowMs + patienceMs, nowMs)
  }

  /** Tells the speculator that would be asked of a sequence to come, so that its KV is there when it decodes. */
  introduce(sequence: Omit<RemoteSequence, 'maxDepth'>, nowMs: number): void {
    const speculator = this.#speculators.choose(nowMs)
    if (speculator === null || !speculator.breaker.isClosed || speculator.told.has(sequence.handle)) return
    this.#parts.effects.draftNews(speculator.endpoint, { sequences: [told(speculator, sequence)], forget: [] })
  }

  /** These sequences are gone. */
  forget(handles: readonly number[]): void {
    if (handles.length === 0) return
    for (const { endpoint, told: known } of this.#speculators) {
      const forget = handles.filter((handle) => known.delete(handle))
      if (forget.length > 0) this.#parts.effects.draftNews(endpoint, { sequences: [], forget })
    }
  }

  /** Whether the completion is of an ask, and the trees it brought; null: it is not. */
  complete({ effectId, outcome }: Completion, nowMs: number): RemoteTrees | null {
    const open = this.#open
    if (open === null || open.effectId !== effectId) return null
    this.#open = null
    const { speculator } = open
    const elapsedMs = nowMs - open.askedMs
    if (open.state === 'awaited') this.#counters.waitMsTotal += Math.min(elapsedMs, open.patienceMs)
    if (outcome.kind !== 'done') {
      if (outcome.kind === 'failed' && outcome.error.code === 'draft_refused') speculator.hasRefused = true
      // Its session is gone, and with it all that it was told.
      speculator.told.clear()
      this.#fail(open, 'failed', nowMs)
      return nothing(open, elapsedMs)
    }
    const answer = outcome.value as DraftAnswer
    const problem = problemOfAnswer(answer, open.ask, this.#parts.vocabSize)
    if (problem !== null) {
      this.#counters.lastProblem = problem
      this.#fail(open, 'garbled', nowMs)
      return nothing(open, elapsedMs)
    }
    for (const handle of answer.unknown) speculator.told.delete(handle)
    const isFirst = elapsedMs <= open.patienceMs && !speculator.breaker.isClosed
    if (elapsedMs > open.patienceMs) this.#fail(open, 'late', nowMs)
    else speculator.breaker.succeeded()
    this.#counters.answered(elapsedMs)
    return { ...nothing(open, elapsedMs), trees: answer.trees, isTypical: open.isTypical && answer.unknown.length === 0, isFirst }
  }

  /** Time passed: nobody waits beyond patience, and nothing is out beyond its deadline. */
  tick(nowMs: number): void {
    const open = this.#open
    if (open === null) return
    const patientUntilMs = open.askedMs + open.patienceMs
    const deadlineMs = open.askedMs + open.ask.remainingMs
    if (nowMs >= deadlineMs) {
      this.#open = null
      this.#fail(open, 'late', nowMs)
      return this.#parts.effects.cancel(open.effectId)
    }
    if (nowMs >= patientUntilMs) {
      if (open.state === 'awaited') this.#counters.waitMsTotal += open.patienceMs
      open.state = 'late'
      this.#fail(open, 'late', nowMs)
    }
    this.#parts.timer.wakeBy(nowMs < patientUntilMs ? patientUntilMs : deadlineMs, nowMs)
  }

  load(): RemoteDraftLoad {
    const speculators = [...this.#speculators]
    return this.#counters.load({ numSpeculators: speculators.length, numTrusted: speculators.filter(({ breaker, hasRefused }) => breaker.isClosed && !hasRefused).length })
  }

  /** Counts once per ask. */
  #fail(open: OpenAsk, how: 'late' | 'failed' | 'garbled', nowMs: number): void {
    if (open.hasFailed) return
    open.hasFailed = true
    this.#counters.failed(how)
    open.speculator.breaker.failed(nowMs)
  }
}

function nothing({ ask: { depth, leastProbability } }: OpenAsk, elapsedMs: number): RemoteTrees {
  return { trees: [], depth, leastProbability, elapsedMs, isTypical: false, isFirst: false }
}

/** What the speculator lacks of the sequence; it counts as told from now on. */
function told({ told: known }: Speculator, { handle, numTokens, introduction, tokensFrom }: Omit<RemoteSequence, 'maxDepth'>): DraftedTokens {
  const firstToken = known.get(handle) ?? 0
  known.set(handle, numTokens)
  return { handle, introduction: firstToken === 0 ? introduction : null, firstToken, tokenIds: tokensFrom(firstToken) }
}
