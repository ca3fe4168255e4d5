// Memory for pulled blocks, used again: touching fresh memory costs more than everything else that receiving does.
//
// 1. Memory is shared, so that the engine's thread reads it without a copy.
// 2. It is given out again only after whoever had it gave it back; what is not given back the garbage collector takes.

/** Kept for later, at most: what a prompt of some ten thousand tokens needs. */
const MAX_IDLE_BYTES = 128 << 20
/** Memory is taken again for contents of at least half its size. */
const MOST_WASTE = 2
const GRAIN_BYTES = 64 * 1024

export class BufferPool {
  /** Longest unused first. */
  #idle: SharedArrayBuffer[] = []
  readonly #given = new WeakSet<ArrayBufferLike>()

  get idleBytes(): number {
    return this.#idle.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }

  /** Space for that many bytes, contents undefined. */
  take(numBytes: number): Uint8Array<SharedArrayBuffer> {
    const grains = Math.ceil(numBytes / GRAIN_BYTES) * GRAIN_BYTES
    const fits = this.#idle.filter(({ byteLength }) => byteLength >= grains && byteLength <= MOST_WASTE * grains)
    const best = fits.reduce<SharedArrayBuffer | null>((least, each) => (least === null || each.byteLength < least.byteLength ? each : least), null)
    if (best !== null) this.#idle.splice(this.#idle.indexOf(best), 1)
    const memory = best ?? new SharedArrayBuffer(grains)
    this.#given.add(memory)
    return new Uint8Array(memory, 0, numBytes)
  }

  /** Nobody may touch these bytes any more. Bytes that are not of this pool, or were given back already, are none of its business. */
  giveBack({ buffer }: Uint8Array): void {
    if (!(buffer instanceof SharedArrayBuffer) || !this.#given.delete(buffer)) return
    this.#idle.push(buffer)
    while (this.idleBytes > MAX_IDLE_BYTES) this.#idle.shift()
  }
}
