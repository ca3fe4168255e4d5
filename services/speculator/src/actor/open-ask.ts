// An ask between its arrival and its answer. It is answered when each of its sequences was drafted for, found unknown, or given up.
import type { AnsweredTree, DraftAnswer, DraftAsk } from '@rubato/model'
import type { Session } from './sessions.ts'

/** Widest level, and most nodes of a tree: what the draft model has room for. */
const MAX_WIDTH = 4
const MAX_NODES = 64

export class OpenAsk {
  readonly session: Session
  readonly depth: number
  readonly width: number
  readonly calibration: DraftAsk['calibration']
  readonly leastProbability: number
  readonly deadlineMs: number
  readonly #askId: number
  readonly #arrivedMs: number
  readonly #trees: AnsweredTree[] = []
  readonly #unknown: number[] = []
  #startedMs: number | null = null
  #draftMs = 0
  readonly #numSequences: number
  #numOpen: number
  #numGivenUp = 0

  constructor(session: Session, { askId, remainingMs, depth, width, calibration, leastProbability, sequences }: DraftAsk, nowMs: number) {
    this.session = session
    this.#askId = askId
    this.#arrivedMs = nowMs
    this.deadlineMs = nowMs + remainingMs
    this.width = Math.min(width, MAX_WIDTH)
    this.depth = Math.min(depth, Math.floor(MAX_NODES / this.width))
    this.calibration = calibration
    this.leastProbability = leastProbability
    this.#numSequences = sequences.length
    this.#numOpen = sequences.length
  }

  get isSettled(): boolean {
    return this.#numOpen === 0
  }

  /** Nobody waits for any of it. */
  get isGivenUp(): boolean {
    return this.#numGivenUp > 0 && this.#numGivenUp === this.#numSequences
  }

  get queueMs(): number {
    return (this.#startedMs ?? this.#arrivedMs) - this.#arrivedMs
  }

  started(nowMs: number): void {
    this.#startedMs ??= nowMs
  }

  /** A sequence's turn is over; null: it has no tree. */
  drafted(tree: AnsweredTree | null): void {
    if (tree !== null) this.#trees.push(tree)
    this.#numOpen -= 1
  }

  /** Time in a run that drafted for it. */
  ran(draftMs: number): void {
    this.#draftMs += draftMs
  }

  isUnknown(handle: number): void {
    this.#unknown.push(handle)
    this.#numOpen -= 1
  }

  /** A sequence of it waits no more: it was asked for again, is gone, or its time is over. */
  giveUp(): void {
    this.#numGivenUp += 1
    this.#numOpen -= 1
  }

  answer(): DraftAnswer {
    return { askId: this.#askId, trees: this.#trees, unknown: this.#unknown, queueMs: this.queueMs, draftMs: this.#draftMs }
  }
}
