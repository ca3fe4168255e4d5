// In which encoding frames travel: the one that brings most bytes of KV per second over this link.
//
// 1. Only encodings that the receiver accepts are chosen; `raw` is always one of them.
// 2. Another one than raw has to be a tenth faster: encoding takes processor time from the engine.
// 3. Another one than raw has to be well faster than the link, which therefore stays what is measured.

/** `lossless` packs float32 and gives back every bit. */
export type KvEncoding = 'raw' | 'lossless'

/** What an encoding does with KV, until seen as measured on float32 KV of the bundled model (docs/kv-transfer.md). */
export interface EncodingFigures {
  /** Bytes on the wire per byte of KV. */
  readonly wireRatio: number
  /** Bytes of KV that one thread encodes per second. */
  readonly encodeBytesPerSec: number
}

export const USUAL_FIGURES: Readonly<Record<KvEncoding, EncodingFigures>> = {
  raw: { wireRatio: 1, encodeBytesPerSec: 1e12 },
  lossless: { wireRatio: 0.85, encodeBytesPerSec: 100e6 },
}

const LEAST_ADVANTAGE = 1.1
/** Encoding is faster than the link by this factor, at least. */
const LEAST_LEAD = 1.3

/** For a link that carries `bytesPerSec`. */
export function chooseEncoding(accepted: readonly KvEncoding[], bytesPerSec: number, figures: Readonly<Record<KvEncoding, EncodingFigures>>): KvEncoding {
  let best: KvEncoding = 'raw'
  let most = LEAST_ADVANTAGE * bytesPerSec
  for (const encoding of accepted) {
    const { wireRatio, encodeBytesPerSec } = figures[encoding]
    const goodput = bytesPerSec / wireRatio
    if (encoding === 'raw' || goodput < most || LEAST_LEAD * goodput > encodeBytesPerSec) continue
    best = encoding
    most = goodput
  }
  return best
}

/** What of the old figures a frame leaves. */
const KEPT_RATIO = 0.8

/** The figures with a frame of `numBytes` that became `wireBytes` in `encodeMs`. */
export function observeEncoding(before: EncodingFigures, { numBytes, wireBytes, encodeMs }: { readonly numBytes: number; readonly wireBytes: number; readonly encodeMs: number }): EncodingFigures {
  const mix = (old: number, seen: number): number => KEPT_RATIO * old + (1 - KEPT_RATIO) * seen
  const encodeBytesPerSec = (numBytes / Math.max(0.01, encodeMs)) * 1000
  return { wireRatio: mix(before.wireRatio, wireBytes / numBytes), encodeBytesPerSec: mix(before.encodeBytesPerSec, encodeBytesPerSec) }
}
