// The instances that a speculator drafts for, and the sequences it knows of each.
//
// 1. A sequence is in its session's map and in the order of last use, or in neither.
// 2. Past `maxSequences` the one used least recently is forgotten: its instance hears `unknown` when it comes back to it.
// 3. Keys name sequences to the draft model and are never used again. Tokens wait here until the model needs them.
import type { Address } from '@rubato/actor'
import type { DraftedTokens, DraftIntroduction, DraftPeer } from '@rubato/model'
import type { DraftCommand } from '../engine/draft-command.ts'

export interface Session {
  readonly address: Address
  readonly peer: DraftPeer
  /** By handle. */
  readonly sequences: Map<number, KnownSequence>
}

export interface KnownSequence {
  readonly key: number
  readonly session: Session
  readonly handle: number
  readonly introduction: DraftIntroduction
  numTokens: number
  /** Those that the draft model has not been told. */
  untold: number[]
  isIntroduced: boolean
}

/** What the draft model has to be told before it drafts. */
export type Tidings = Pick<DraftCommand, 'introduce' | 'append'>

export class Sessions {
  readonly #maxSequences: number
  readonly #onDrop: (sequence: KnownSequence) => void
  readonly #sessions = new Map<Address, Session>()
  /** By key, in order of last use. */
  readonly #byKey = new Map<number, KnownSequence>()
  /** Told to the draft model, and to be forgotten by it. */
  #forgotten: number[] = []
  #lastKey = 0

  /** `onDrop` hears of every sequence that is forgotten, but for a reset. */
  constructor(maxSequences: number, onDrop: (sequence: KnownSequence) => void) {
    this.#maxSequences = maxSequences
    this.#onDrop = onDrop
  }

  get numSessions(): number {
    return this.#sessions.size
  }

  get numSequences(): number {
    return this.#byKey.size
  }

  /** Something is to be forgotten. */
  get hasForgotten(): boolean {
    return this.#forgotten.length > 0
  }

  get(address: Address): Session | undefined {
    return this.#sessions.get(address)
  }

  [Symbol.iterator](): Iterator<Session> {
    return this.#sessions.values()
  }

  open(address: Address, peer: DraftPeer): void {
    this.close(address)
    this.#sessions.set(address, { address, peer, sequences: new Map() })
  }

  /** Forgets everything of it. Idempotent. */
  close(address: Address): void {
    const session = this.#sessions.get(address)
    if (session === undefined) return
    for (const handle of session.sequences.keys()) this.forget(session, handle)
    this.#sessions.delete(address)
  }

  /** Takes what is new of a sequence; null: it is not known this far, and is to be told from its first token on. */
  take(session: Session, { handle, introduction, firstToken, tokenIds }: DraftedTokens): KnownSequence | null {
    if (introduction !== null) return this.#introduce(session, handle, introduction, tokenIds)
    const known = session.sequences.get(handle)
    if (known === undefined) return null
    if (firstToken > known.numTokens) {
      this.forget(session, handle)
      return null
    }
    for (const tokenId of tokenIds.slice(known.numTokens - firstToken)) known.untold.push(tokenId)
    known.numTokens = Math.max(known.numTokens, firstToken + tokenIds.length)
    this.#byKey.delete(known.key)
    this.#byKey.set(known.key, known)
    return known
  }

  /** Idempotent. */
  forget(session: Session, handle: number): void {
    const known = session.sequences.get(handle)
    if (known === undefined) return
    session.sequences.delete(handle)
    this.#byKey.delete(known.key)
    if (known.isIntroduced) this.#forgotten.push(known.key)
    this.#onDrop(known)
  }

  isKnown({ key }: KnownSequence): boolean {
    return this.#byKey.has(key)
  }

  /** Keys that the draft model is to forget: told once. */
  takeForgotten(): readonly number[] {
    const forgotten = this.#forgotten
    this.#forgotten = []
    return forgotten
  }

  /** What the draft model lacks of these: told once. */
  tidingsOf(sequences: Iterable<KnownSequence>): Tidings {
    const tidings = { introduce: [] as Tidings['introduce'][number][], append: [] as Tidings['append'][number][] }
    for (const known of sequences) {
      const { key, introduction, untold: tokenIds, session } = known
      if (tokenIds.length === 0) continue
      if (known.isIntroduced) tidings.append.push({ key, tokenIds })
      else tidings.introduce.push({ key, introduction, eosTokenIds: session.peer.eosTokenIds, tokenIds })
      known.isIntroduced = true
      known.untold = []
    }
    return tidings
  }

  /** The draft model lost everything, and so does this; sessions stay. */
  reset(): void {
    for (const { sequences } of this.#sessions.values()) sequences.clear()
    this.#byKey.clear()
    this.#forgotten = []
  }

  /** Throws when maps disagree. O(sequences): for tests. */
  assertIntegrity(): void {
    let count = 0
    for (const { sequences } of this.#sessions.values()) {
      count += sequences.size
      for (const known of sequences.values()) if (this.#byKey.get(known.key) !== known) throw new Error(`sequence ${known.key} is in its session alone`)
    }
    if (count !== this.#byKey.size || count > this.#maxSequences) throw new Error(`${this.#byKey.size} sequences, ${count} in sessions, at most ${this.#maxSequences}`)
  }

  #introduce(session: Session, handle: number, introduction: DraftIntroduction, tokenIds: readonly number[]): KnownSequence {
    this.forget(session, handle)
    const known: KnownSequence = { key: ++this.#lastKey, session, handle, introduction, numTokens: tokenIds.length, untold: [...tokenIds], isIntroduced: false }
    session.sequences.set(handle, known)
    this.#byKey.set(known.key, known)
    if (this.#byKey.size > this.#maxSequences) {
      const [oldest] = this.#byKey.values()
      if (oldest !== undefined) this.forget(oldest.session, oldest.handle)
    }
    return known
  }
}
