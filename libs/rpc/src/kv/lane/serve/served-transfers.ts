// The transfers that are pulled from here over lanes, by the key that their receiver gave them.
//
// 1. A key opens at most one transfer. Opened again while that is under way it joins another lane to it; opened again afterwards it
//    is answered as before, and reported to nobody.
import { decodePullRequest } from '../../grpc/kv-service.ts'
import type { OfferBook } from '../../offer-book.ts'
import { ServedTransfer } from './served-transfer.ts'
import type { JoinedLane, ServeOptions } from './served-transfer.ts'

export interface Opener {
  readonly key: Uint8Array
  readonly transferId: number
  readonly peer: string
  /** What it came over. */
  readonly lane: JoinedLane
}

/** `over`: the transfer has ended. */
export type OpenAnswer = 'opened' | 'unknown' | 'mismatch' | 'over'

/** Keys of transfers that ended lately: openings that took another way may still come. */
const MAX_OVER = 1024

const text = (key: Uint8Array): string => Buffer.from(key).toString('latin1')

export class ServedTransfers {
  readonly #book: OfferBook
  readonly #options: ServeOptions
  readonly #byKey = new Map<string, ServedTransfer>()
  readonly #over = new Map<string, OpenAnswer>()

  constructor(book: OfferBook, options: ServeOptions) {
    this.#book = book
    this.#options = options
  }

  /** Uses up the token of a rubato.v1.PullRequest. Throws when the bytes are none. */
  open(pullRequest: Uint8Array, { key, transferId, peer, lane }: Opener): OpenAnswer {
    const name = text(key)
    const known = this.#byKey.get(name)
    known?.joined(lane)
    const before = known === undefined ? this.#over.get(name) : 'opened'
    if (before !== undefined) return before
    const { recovery, hop, ...request } = decodePullRequest(pullRequest)
    const claim = this.#book.claim({ ...request, epoch: { recovery, hop } })
    if (claim.kind !== 'claimed') {
      this.#options.onTransfer({ kind: 'send-refused', peer, reason: claim.kind })
      this.#end(name, claim.kind)
      return claim.kind
    }
    const transfer = new ServedTransfer(claim.claimed, { peer, transferId, onOver: () => this.#end(name, 'over') }, this.#options)
    transfer.joined(lane)
    if (transfer.isOver) return 'over'
    this.#byKey.set(name, transfer)
    return 'opened'
  }

  find(key: Uint8Array): ServedTransfer | null {
    return this.#byKey.get(text(key)) ?? null
  }

  /** The receiver has everything, or gave up. */
  ended(key: Uint8Array, isWhole: boolean): void {
    const transfer = this.find(key)
    if (isWhole) transfer?.finish()
    else transfer?.break('the receiver left')
  }

  /** The receiver shows on the lane that it is there. */
  touched(lane: JoinedLane): void {
    for (const transfer of this.#byKey.values()) if (transfer.isJoinedBy(lane)) transfer.touch()
  }

  /** The lane is gone. */
  left(lane: JoinedLane): void {
    for (const transfer of this.#byKey.values()) transfer.left(lane)
  }

  #end(name: string, answer: OpenAnswer): void {
    this.#byKey.delete(name)
    this.#over.set(name, answer)
    const oldest = this.#over.keys().next().value
    if (this.#over.size > MAX_OVER && oldest !== undefined) this.#over.delete(oldest)
  }
}
