// Incremental detokenisation of one sequence: token ids in, complete text out.
//
// 1. The concatenation of all pushes and the final flush is the one-shot decoding of all tokens' bytes (WHATWG UTF-8, byte order marks kept),
//    whatever the split into pushes.
// 2. A character is emitted once complete; U+FFFD is emitted once bytes can no longer become valid, one per maximal invalid part, never earlier.
// 3. At most three bytes are pending between calls.
import type { TokenTable } from './token-bytes.ts'

export interface DetokenizerOptions {
  /** Leave special tokens out of the text. @default true */
  readonly skipSpecialTokens?: boolean
  /**
   * The tokens before the first pushed one: the prompt. Its text is not emitted, but a leading space is kept after it and a character that
   * it left incomplete can be completed. Empty: pushes start a text. @default []
   */
  readonly precedingTokens?: ArrayLike<number>
}

const REPLACEMENT = '\uFFFD'
/** More than the longest incomplete character, so that decoding its tail ends in the same state as decoding everything. */
const TAIL_BYTES = 8

export class Detokenizer {
  readonly #table: TokenTable
  readonly #skipSpecial: boolean
  /** Continuation bytes the pending character still needs; 0: none is pending. */
  #needed = 0
  #codePoint = 0
  /** Range of the next continuation byte: narrower after E0, ED, F0 and F4. */
  #lower = 0x80
  #upper = 0xbf
  /** The pending character began in the preceding tokens, whose text is not ours to emit. */
  #pendingIsForeign = false
  #spacesToStrip: number

  constructor(table: TokenTable, options: DetokenizerOptions = {}) {
    this.#table = table
    this.#skipSpecial = options.skipSpecialTokens ?? true
    this.#spacesToStrip = 0
    const hasText = this.#readTail(options.precedingTokens ?? [])
    this.#pendingIsForeign = this.#needed > 0
    this.#spacesToStrip = hasText ? 0 : table.stripAtStart
  }

  /** The text that these tokens complete; at most three bytes stay pending. O(bytes of the tokens). */
  push(tokenIds: ArrayLike<number>): string {
    let text = ''
    for (let index = 0; index < tokenIds.length; index++) text += this.#pushOne(tokenIds[index] as number)
    return text
  }

  /** Ends the sequence: a character that never became complete is emitted as one U+FFFD. */
  flush(): string {
    const isOurs = this.#needed > 0 && !this.#pendingIsForeign
    this.#needed = 0
    this.#pendingIsForeign = false
    return isOurs ? REPLACEMENT : ''
  }

  #pushOne(tokenId: number): string {
    const table = this.#table
    if (this.#skipSpecial && table.isSpecial(tokenId)) return ''
    const whole = this.#needed === 0 ? table.textOf(tokenId) : null
    const text = whole ?? this.#decode(table.bytesOf(tokenId))
    return this.#spacesToStrip === 0 ? text : this.#strip(text)
  }

  #strip(text: string): string {
    let start = 0
    while (start < text.length && this.#spacesToStrip > 0) {
      if (text.charAt(start) === ' ') {
        start++
        this.#spacesToStrip--
      } else this.#spacesToStrip = 0
    }
    return text.slice(start)
  }

  /** The UTF-8 decoder of the WHATWG Encoding Standard, with replacement. */
  #decode(bytes: Uint8Array): string {
    let text = ''
    for (const byte of bytes) {
      if (this.#needed > 0) {
        if (byte >= this.#lower && byte <= this.#upper) {
          text += this.#continue(byte)
          continue
        }
        text += this.flush()
      }
      text += this.#begin(byte)
    }
    return text
  }

  #begin(byte: number): string {
    if (byte < 0x80) return String.fromCharCode(byte)
    if (byte < 0xc2 || byte > 0xf4) return REPLACEMENT
    this.#needed = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3
    this.#codePoint = byte & (0x3f >> this.#needed)
    this.#lower = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80
    this.#upper = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf
    return ''
  }

  #continue(byte: number): string {
    this.#codePoint = (this.#codePoint << 6) | (byte & 0x3f)
    this.#lower = 0x80
    this.#upper = 0xbf
    this.#needed--
    if (this.#needed > 0) return ''
    this.#pendingIsForeign = false
    return String.fromCodePoint(this.#codePoint)
  }

  /** Decodes the end of the preceding tokens for its pending character only; true when any of them has text. */
  #readTail(tokenIds: ArrayLike<number>): boolean {
    let numBytes = 0
    let start = tokenIds.length
    while (start > 0 && numBytes < TAIL_BYTES) {
      start--
      const tokenId = tokenIds[start] as number
      if (!this.#skipSpecial || !this.#table.isSpecial(tokenId)) numBytes += this.#table.bytesOf(tokenId).length
    }
    for (let index = start; index < tokenIds.length; index++) this.#pushOne(tokenIds[index] as number)
    return numBytes > 0
  }
}
