// What may be pulled from here, by token. Shared by every transport: tokens are opened, refused and withdrawn in one place.
//
// 1. A token opens one transfer, once; it opens nothing after it was withdrawn, was claimed, or its time was over.
// 2. Every offer settles exactly once: resolved when its transfer was sent whole, else rejected with `kv_not_pulled`.
// 3. How long a look-up takes tells nothing about the tokens that exist: they are looked up by a keyed digest.
import { hash, randomBytes } from 'node:crypto'
import { InvalidArgument, RubatoError } from '@rubato/config'
import type { KvOffer, KvPullRequest } from './kv-transport.ts'

/** An offer whose token was used: its transfer is under way. Exactly one of the two callbacks settles it; later ones are ignored. */
export interface ClaimedOffer {
  readonly offer: KvOffer
  /** Aborted when the offer is withdrawn or the book closes. */
  readonly signal: AbortSignal
  sent(): void
  broken(reason: string, cause?: unknown): void
}

/** `unknown`: the token opens nothing. `mismatch`: it opens something else than what is asked for. */
export type Claim = { readonly kind: 'claimed'; readonly claimed: ClaimedOffer } | { readonly kind: 'unknown' } | { readonly kind: 'mismatch' }

export type ClaimRequest = Omit<KvPullRequest, 'kvAddress'>

interface Entry {
  readonly offer: KvOffer
  readonly stop: AbortController
  /** Runs until the offer is claimed. */
  readonly timer: NodeJS.Timeout
  readonly settle: (error: RubatoError | null) => void
}

export const OFFER_TTL_MS = 30_000

function notPulled(reason: string, cause?: unknown): RubatoError {
  return new RubatoError('kv_not_pulled', `the offered blocks were not pulled: ${reason}`, { retryable: true, ...(cause === undefined ? {} : { cause }) })
}

/** Bytes of a whole transfer. Throws InvalidArgument unless it is a positive number of whole blocks. */
export function transferBytes({ numBlocks, blockBytes }: { readonly numBlocks: number; readonly blockBytes: number }): number {
  if (!Number.isSafeInteger(numBlocks) || numBlocks < 1) throw new InvalidArgument('numBlocks', `${numBlocks} is not a number of blocks`)
  if (!Number.isSafeInteger(blockBytes) || blockBytes < 1) throw new InvalidArgument('blockBytes', `${blockBytes} is not the size of a block`)
  return numBlocks * blockBytes
}

function agrees(offer: KvOffer, request: ClaimRequest): boolean {
  const sameEpoch = offer.epoch.recovery === request.epoch.recovery && offer.epoch.hop === request.epoch.hop
  const sameShape = offer.numBlocks === request.numBlocks && offer.blockBytes === request.blockBytes
  return sameEpoch && sameShape && offer.requestId === request.requestId && offer.modelFingerprint === request.modelFingerprint
}

export class OfferBook {
  readonly #key = randomBytes(32).toString('hex')
  readonly #ttlMs: number
  /** By digest of the token: offers that nobody claimed yet. */
  readonly #open = new Map<string, Entry>()
  readonly #entries = new Set<Entry>()
  #isClosed = false

  constructor(ttlMs: number = OFFER_TTL_MS) {
    this.#ttlMs = ttlMs
  }

  /** Offers that have not settled: waiting for their pull, or being sent. */
  get numUnsettled(): number {
    return this.#entries.size
  }

  /** Enters the offer before it returns; see KvTransport.offer. */
  enter(offer: KvOffer, signal: AbortSignal): Promise<void> {
    const key = this.#digestOf(offer.token)
    if (signal.aborted || this.#isClosed) return Promise.reject(notPulled(this.#isClosed ? 'the transport is closed' : 'the offer was withdrawn'))
    if (offer.token === '' || this.#open.has(key)) return Promise.reject(new InvalidArgument('token', offer.token === '' ? 'is empty' : 'is offered already'))
    try {
      transferBytes(offer)
    } catch (error) {
      return Promise.reject(error as Error)
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const withdraw = (): void => entry.settle(notPulled('the offer was withdrawn'))
    const timer = setTimeout(() => entry.settle(notPulled(`nobody came within ${this.#ttlMs} ms`)), this.#ttlMs)
    const settle = (error: RubatoError | null): void => {
      if (!this.#entries.delete(entry)) return
      clearTimeout(timer)
      signal.removeEventListener('abort', withdraw)
      if (this.#open.get(key) === entry) this.#open.delete(key)
      if (error === null) return resolve()
      entry.stop.abort()
      reject(error)
    }
    const entry: Entry = { offer, stop: new AbortController(), timer, settle }
    this.#open.set(key, entry)
    this.#entries.add(entry)
    signal.addEventListener('abort', withdraw, { once: true })
    return promise
  }

  /** Uses the token up when it opens exactly what is asked for. */
  claim(request: ClaimRequest): Claim {
    const key = this.#digestOf(request.token)
    const entry = this.#open.get(key)
    if (entry === undefined) return { kind: 'unknown' }
    if (!agrees(entry.offer, request)) return { kind: 'mismatch' }
    this.#open.delete(key)
    clearTimeout(entry.timer)
    const claimed: ClaimedOffer = {
      offer: entry.offer,
      signal: entry.stop.signal,
      sent: () => entry.settle(null),
      broken: (reason, cause) => entry.settle(notPulled(reason, cause)),
    }
    return { kind: 'claimed', claimed }
  }

  /** Withdraws every offer and stops every transfer; nothing can be offered any more. Idempotent. */
  close(): void {
    this.#isClosed = true
    for (const entry of this.#entries) entry.settle(notPulled('the transport is closed'))
  }

  /** Never shown to anybody, so that the key before the token is enough. */
  #digestOf(token: string): string {
    return hash('sha256', this.#key + token, 'base64')
  }
}
