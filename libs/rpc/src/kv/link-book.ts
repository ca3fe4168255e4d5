// What is counted of each peer that blocks were pulled from, and how fast they come: decayed bytes over decayed time, so that small
// pulls weigh little.
import type { LinkKind } from './kv-transport.ts'

export interface PulledBytes {
  readonly numBytes: number
  readonly transferMs: number
}

export interface LinkCounts {
  readonly kvAddress: string
  readonly kind: LinkKind
  readonly numPulled: number
  readonly numFailed: number
  readonly pulledBytes: number
}

interface Entry {
  kind: LinkKind
  numPulled: number
  numFailed: number
  pulledBytes: number
  decayed: PulledBytes
}

/** What a pull leaves of the history before it. */
const KEPT_RATIO = 0.8
/** Peers that were longest without a pull are forgotten. */
const MAX_PEERS = 256
/** Below the clock's own grain. */
const LEAST_MS = 0.001

export class LinkBook {
  readonly #entries = new Map<string, Entry>()

  /** Latest last. */
  get counts(): readonly LinkCounts[] {
    return [...this.#entries].map(([kvAddress, { kind, numPulled, numFailed, pulledBytes }]) => ({ kvAddress, kind, numPulled, numFailed, pulledBytes }))
  }

  /** Counts a pull and gives the peer's new estimate in bytes per second. */
  pulled(kvAddress: string, kind: LinkKind, { numBytes, transferMs }: PulledBytes): number {
    const entry = this.#touch(kvAddress, kind)
    const { decayed } = entry
    entry.decayed = { numBytes: decayed.numBytes * KEPT_RATIO + numBytes, transferMs: decayed.transferMs * KEPT_RATIO + Math.max(LEAST_MS, transferMs) }
    entry.numPulled++
    entry.pulledBytes += numBytes
    return (entry.decayed.numBytes / entry.decayed.transferMs) * 1000
  }

  failed(kvAddress: string, kind: LinkKind): void {
    this.#touch(kvAddress, kind).numFailed++
  }

  #touch(kvAddress: string, kind: LinkKind): Entry {
    const entry = this.#entries.get(kvAddress) ?? { kind, numPulled: 0, numFailed: 0, pulledBytes: 0, decayed: { numBytes: 0, transferMs: 0 } }
    entry.kind = kind
    this.#entries.delete(kvAddress)
    this.#entries.set(kvAddress, entry)
    const oldest = this.#entries.keys().next().value
    if (this.#entries.size > MAX_PEERS && oldest !== undefined) this.#entries.delete(oldest)
    return entry
  }
}
