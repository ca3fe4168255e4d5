// Drafts that wait for the draft model, and who goes next: sessions take turns, and each turn brings a session a quantum of rows
// to draft (deficit round robin, Shreedhar and Varghese 1995), so that an instance with many sequences delays one with a few by a
// batch at most.
//
// 1. A sequence waits at most once: a newer ask for it takes the older one's place.
import type { OpenAsk } from './open-ask.ts'
import type { KnownSequence, Session } from './sessions.ts'

export interface QueuedDraft {
  readonly sequence: KnownSequence
  readonly ask: OpenAsk
  readonly maxDepth: number
}

/** Rows of the draft model per turn; more than any one draft takes. */
const QUANTUM_ROWS = 64

interface Line {
  readonly waiting: Map<KnownSequence, QueuedDraft>
  /** Rows that it may still have in its turn; null: its turn has not begun. */
  turnRows: number | null
  /** Left over from turns that ended with a draft too large for the rest. */
  savedRows: number
}

export interface Taken {
  readonly batch: readonly QueuedDraft[]
  /** Nobody waits for these any more. */
  readonly expired: readonly QueuedDraft[]
}

export class DraftQueue {
  /** In order of turns. */
  readonly #lines = new Map<Session, Line>()
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Returns the older draft for the same sequence, which waits no more. */
  add(draft: QueuedDraft): QueuedDraft | null {
    const { session } = draft.sequence
    const line: Line = this.#lines.get(session) ?? { waiting: new Map(), turnRows: null, savedRows: 0 }
    this.#lines.set(session, line)
    const older = line.waiting.get(draft.sequence) ?? null
    line.waiting.set(draft.sequence, draft)
    if (older === null) this.#size += 1
    return older
  }

  /** Takes a sequence's draft out; null: none waits. */
  remove(sequence: KnownSequence): QueuedDraft | null {
    const line = this.#lines.get(sequence.session)
    const draft = line?.waiting.get(sequence)
    if (line === undefined || draft === undefined) return null
    this.#leave(line, draft)
    if (line.waiting.size === 0) this.#lines.delete(sequence.session)
    return draft
  }

  /** The next drafts, of at most `maxRows` rows together unless one alone has more. */
  take(maxRows: number, nowMs: number): Taken {
    const batch: QueuedDraft[] = []
    const expired: QueuedDraft[] = []
    let rowsLeft = maxRows
    for (let [first] = this.#lines; first !== undefined; [first] = this.#lines) {
      const [session, line] = first
      line.turnRows ??= line.savedRows + QUANTUM_ROWS
      for (const draft of line.waiting.values()) {
        if (draft.ask.deadlineMs <= nowMs) {
          this.#leave(line, draft)
          expired.push(draft)
          continue
        }
        const rows = rowsOf(draft)
        if (rows > line.turnRows) break
        if (batch.length > 0 && rows > rowsLeft) return { batch, expired }
        line.turnRows -= rows
        rowsLeft -= rows
        this.#leave(line, draft)
        batch.push(draft)
      }
      this.#endTurn(session, line)
    }
    return { batch, expired }
  }

  clear(): readonly QueuedDraft[] {
    const all = [...this.#lines.values()].flatMap(({ waiting }) => [...waiting.values()])
    this.#lines.clear()
    this.#size = 0
    return all
  }

  #leave({ waiting }: Line, { sequence }: QueuedDraft): void {
    waiting.delete(sequence)
    this.#size -= 1
  }

  /** To the back of the line; a session without drafts saves nothing up. */
  #endTurn(session: Session, line: Line): void {
    this.#lines.delete(session)
    if (line.waiting.size === 0) return
    line.savedRows = line.turnRows ?? 0
    line.turnRows = null
    this.#lines.set(session, line)
  }
}

/** Rows that a draft runs through the model, catching up aside. */
export function rowsOf({ ask: { depth, width }, maxDepth }: QueuedDraft): number {
  return 1 + (Math.min(depth, maxDepth) - 1) * width
}
