// KV transfers inside one process: the exported bytes themselves change hands. Offers and tokens count as they do over gRPC.
import { RubatoError } from '@rubato/config'
import type { KvLinkState, KvOffer, KvPullRequest, KvPullResult, KvTransport } from './kv-transport.ts'
import { OFFER_TTL_MS, OfferBook, transferBytes } from './offer-book.ts'
import type { ClaimedOffer } from './offer-book.ts'
import { LinkBook } from './link-book.ts'

/** The instances of one process, by name, as each other's peers. */
export interface MemoryKvLink {
  /** A transport that the others reach as `kvAddress`. Throws RubatoError `address_in_use` while another one has it. */
  join(kvAddress: string): KvTransport
}

type Books = Map<string, OfferBook>

function linkFailed(kvAddress: string, reason: string, cause?: unknown): RubatoError {
  return new RubatoError('kv_link_failed', `the KV link to ${kvAddress} failed: ${reason}`, { retryable: true, ...(cause === undefined ? {} : { cause }) })
}

class MemoryKvTransport implements KvTransport {
  readonly kvAddress: string
  readonly #books: Books
  readonly #book: OfferBook
  readonly #links = new LinkBook()
  readonly #stop = new AbortController()

  constructor(kvAddress: string, books: Books, offerTtlMs: number) {
    this.kvAddress = kvAddress
    this.#books = books
    this.#book = new OfferBook(offerTtlMs)
    books.set(kvAddress, this.#book)
  }

  offer(offer: KvOffer, signal: AbortSignal): Promise<void> {
    return this.#book.enter(offer, signal)
  }

  async pull(request: KvPullRequest, signal: AbortSignal): Promise<KvPullResult> {
    const { kvAddress } = request
    const numBytes = transferBytes(request)
    const startedMs = performance.now()
    const either = AbortSignal.any([signal, this.#stop.signal])
    if (either.aborted) throw linkFailed(kvAddress, 'the pull was given up')
    const claim = this.#books.get(kvAddress)?.claim(request)
    if (claim === undefined) throw linkFailed(kvAddress, 'nobody has that address')
    if (claim.kind !== 'claimed') throw new RubatoError('kv_refused', `${kvAddress} refused the pull`, { retryable: true })
    const bytes = await readUnlessAborted(claim.claimed, kvAddress, either)
    if (bytes.byteLength !== numBytes) {
      claim.claimed.broken(`${bytes.byteLength} bytes were read instead of ${numBytes}`)
      throw new RubatoError('kv_corrupt', `pulled KV blocks are unusable: ${bytes.byteLength} of ${numBytes} bytes`, { retryable: true })
    }
    claim.claimed.sent()
    const transferMs = performance.now() - startedMs
    return { bytes, transferMs, bytesPerSec: this.#links.pulled(kvAddress, 'memory', { numBytes, transferMs }) }
  }

  /** The exported bytes belong to the engine that read them. */
  recycle(): void {}

  links(): readonly KvLinkState[] {
    return this.#links.counts.map((counts) => ({ ...counts, numFramesAgain: 0, report: null }))
  }

  close(): Promise<void> {
    if (this.#books.get(this.kvAddress) === this.#book) this.#books.delete(this.kvAddress)
    this.#stop.abort()
    this.#book.close()
    return Promise.resolve()
  }
}

/** The offer's bytes, unless either side gives up meanwhile; the offer is then settled as broken. */
function readUnlessAborted(claimed: ClaimedOffer, kvAddress: string, pullerSignal: AbortSignal): Promise<Uint8Array> {
  const { offer, signal } = claimed
  return new Promise((resolve, reject) => {
    const onLeave = (): void => {
      claimed.broken('the receiver left')
      reject(linkFailed(kvAddress, 'the pull was given up'))
    }
    pullerSignal.addEventListener('abort', onLeave, { once: true })
    signal.addEventListener('abort', () => reject(linkFailed(kvAddress, 'the transfer was broken off')), { once: true })
    const settled = (): void => pullerSignal.removeEventListener('abort', onLeave)
    offer.read().then(
      (bytes) => {
        settled()
        resolve(bytes)
      },
      (error: unknown) => {
        settled()
        claimed.broken('the blocks could not be read', error)
        reject(linkFailed(kvAddress, 'the transfer was broken off', error))
      },
    )
  })
}

/** A link for the instances of this process. */
export function memoryKvLink({ offerTtlMs = OFFER_TTL_MS }: { readonly offerTtlMs?: number } = {}): MemoryKvLink {
  const books: Books = new Map()
  return {
    join(kvAddress) {
      if (books.has(kvAddress)) throw new RubatoError('address_in_use', `${kvAddress} is another instance's already`)
      return new MemoryKvTransport(kvAddress, books, offerTtlMs)
    },
  }
}
