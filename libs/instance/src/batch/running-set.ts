// Requests and sequences that the engine knows, and slots on their way out of it.
//
// 1. The arrays may hold entries that have moved on; `compact` drops them at the start of each plan. Everyone else checks `state`.
// 2. Every admitted slot is in exactly one of: the handle map, `retiring`, or the released slots of the step in flight.
// 3. Blocks of a retired slot stay held until the step that releases its handle completes; those of a slot that the engine
//    never saw are free at once.
import type { BlockPool } from '@rubato/kv'
import type { EngineSlot } from '../request/engine-slot.ts'
import { compareRequests } from '../request/request.ts'
import type { InstanceRequest, Sequence } from '../request/request.ts'

/** A prompt that just ended: its other choices get their tables, and copies of the lead's partial block. */
export interface StartingChoices {
  readonly request: InstanceRequest
  readonly leadSlot: EngineSlot
}

export class RunningSet {
  /** In order of admission. */
  readonly admitted: InstanceRequest[] = []
  readonly prompting: InstanceRequest[] = []
  readonly replaying: Sequence[] = []
  readonly decoding: Sequence[] = []
  #starting: StartingChoices[] = []
  #joining: InstanceRequest[] = []
  #retiring: EngineSlot[] = []
  readonly #byHandle = new Map<number, Sequence>()
  readonly #pool: BlockPool

  constructor(pool: BlockPool) {
    this.#pool = pool
  }

  /** Admitted sequences, without retired ones. */
  get numSequences(): number {
    return this.#byHandle.size
  }

  get numRetiring(): number {
    return this.#retiring.length
  }

  sequenceOf(handle: number): Sequence | undefined {
    return this.#byHandle.get(handle)
  }

  /** Takes up a request whose slots have their blocks. */
  admit(request: InstanceRequest): void {
    request.state = 'prompt'
    request.lead = request.live[0]!
    this.admitted.push(request)
    this.prompting.push(request)
    for (const sequence of request.live) this.#byHandle.set(sequence.slot!.handle, sequence)
  }

  /** Takes up a request that comes with the KV of its prompt; the next step tells the engine. */
  join(request: InstanceRequest): void {
    request.state = 'running'
    this.admitted.push(request)
    this.#joining.push(request)
    for (const sequence of request.live) {
      this.#byHandle.set(sequence.slot!.handle, sequence)
      this.enter(sequence, 'decoding')
    }
  }

  takeJoining(): readonly InstanceRequest[] {
    const joining = this.#joining
    this.#joining = []
    return joining.filter(({ live }) => live.some(({ slot }) => slot !== null && !slot.isAdmitted))
  }

  /** It stops decoding, with its slots, until it is resumed or retired. */
  suspend(request: InstanceRequest): void {
    request.state = 'handing'
    for (const sequence of request.live) sequence.state = 'handing'
  }

  /** A request that was to be handed over decodes here after all. */
  resume(request: InstanceRequest): void {
    request.state = 'running'
    for (const sequence of request.live) this.enter(sequence, 'decoding')
  }

  enter(sequence: Sequence, state: 'replaying' | 'decoding'): void {
    sequence.state = state
    if (state === 'replaying') this.replaying.push(sequence)
    else this.decoding.push(sequence)
  }

  startChoices(starting: StartingChoices): void {
    this.#starting.push(starting)
  }

  takeStarting(): readonly StartingChoices[] {
    const starting = this.#starting
    this.#starting = []
    return starting
  }

  /** Ends the sequence's stay, if it has one; a slot that the engine never saw is simply dropped. */
  retire(sequence: Sequence): void {
    const { slot } = sequence
    sequence.slot = null
    if (slot === null || !this.#byHandle.delete(slot.handle)) return
    if (slot.isAdmitted) this.#retiring.push(slot)
    else this.#pool.release(slot.table.blockIds)
  }

  /** Ends the stay of all of a request's choices, and of a lead that outlived its choice. */
  retireAll(request: InstanceRequest): void {
    for (const sequence of request.live) this.retire(sequence)
    if (request.lead !== null) this.retire(request.lead)
    request.lead = null
  }

  takeRetiring(): readonly EngineSlot[] {
    const retiring = this.#retiring
    this.#retiring = []
    return retiring
  }

  compact(): void {
    keepIf(this.admitted, ({ isAdmitted }) => isAdmitted)
    keepIf(this.prompting, ({ state }) => state === 'prompt')
    keepIf(this.replaying, ({ state }) => state === 'replaying')
    keepIf(this.decoding, ({ state }) => state === 'decoding')
    if (this.prompting.length > 1) this.prompting.sort(compareRequests)
  }

  /** Whom to preempt: lowest priority, then youngest; never what is being handed over, which frees itself. O(admitted). */
  victim(): InstanceRequest | undefined {
    let worst: InstanceRequest | undefined
    for (const request of this.admitted) {
      if (request.state !== 'prompt' && request.state !== 'running') continue
      if (worst === undefined || isWorse(request, worst)) worst = request
    }
    return worst
  }

  /** KV tokens of all sequences that generate here. */
  get contextTokens(): number {
    let tokens = 0
    for (const { slot, state } of this.#byHandle.values()) if (state !== 'handing') tokens += slot!.kvTokens
    return tokens
  }

  /** Slots whose blocks are held, for integrity checks. */
  *heldSlots(): Generator<EngineSlot> {
    for (const { slot } of this.#byHandle.values()) yield slot!
    yield* this.#retiring
  }
}

function isWorse(a: InstanceRequest, b: InstanceRequest): boolean {
  return a.message.priority > b.message.priority || (a.message.priority === b.message.priority && a.arrivalOrder > b.arrivalOrder)
}

function keepIf<T>(items: T[], keeps: (item: T) => boolean): void {
  let kept = 0
  for (const item of items) if (keeps(item)) items[kept++] = item
  items.length = kept
}
