// The transfers that are pulled from here over lanes, by the key that their receiver gave them.
import { decodePullRequest } from '../../grpc/kv-service.ts'
import type { OfferBook } from '../../offer-book.ts'
import { ServedTransfer } from './served-transfer.ts'
import type { ServeOptions } from './served-transfer.ts'

export interface Opener {
  readonly key: Uint8Array
  readonly peer: string
  /** The connection that it came over. */
  readonly lane: object
  /** The transfer is over, and not because the receiver has everything. */
  readonly onBroken: () => void
}

const text = (key: Uint8Array): string => Buffer.from(key).toString('latin1')

export class ServedTransfers {
  readonly #book: OfferBook
  readonly #options: ServeOptions
  readonly #byKey = new Map<string, ServedTransfer>()

  constructor(book: OfferBook, options: ServeOptions) {
    this.#book = book
    this.#options = options
  }

  /** Uses up the token of a rubato.v1.PullRequest; gives why it cannot, null: it did. Throws when the bytes are none. */
  open(pullRequest: Uint8Array, { key, peer, lane, onBroken }: Opener): 'unknown' | 'mismatch' | null {
    const { recovery, hop, ...request } = decodePullRequest(pullRequest)
    const claim = this.#book.claim({ ...request, epoch: { recovery, hop } })
    if (claim.kind !== 'claimed') {
      this.#options.onTransfer({ kind: 'send-refused', peer, reason: claim.kind })
      return claim.kind
    }
    const onOver = (isSent: boolean): void => {
      this.#byKey.delete(text(key))
      if (!isSent) onBroken()
    }
    const transfer = new ServedTransfer(claim.claimed, peer, this.#options, onOver)
    transfer.joined(lane)
    if (!transfer.isOver) this.#byKey.set(text(key), transfer)
    return null
  }

  find(key: Uint8Array): ServedTransfer | null {
    return this.#byKey.get(text(key)) ?? null
  }

  /** The receiver shows on the lane that it is there. */
  touched(lane: object): void {
    for (const transfer of this.#byKey.values()) if (transfer.isJoinedBy(lane)) transfer.touch()
  }

  /** The lane is gone. */
  left(lane: object): void {
    for (const transfer of this.#byKey.values()) transfer.left(lane)
  }
}
