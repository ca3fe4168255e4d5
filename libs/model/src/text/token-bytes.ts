// Bytes of every token: what a token adds to the output, before UTF-8 decoding. Serves logprob bytes and detokenisation.
//
// 1. The bytes of a token sequence are the concatenation of its tokens' bytes; only the first characters of a text can differ (`stripAtStart`).
// 2. The table is immutable after construction, but for texts that are cached on first use.
import { CheckpointError } from '@rubato/config'
import { Buffer, isUtf8 } from 'node:buffer'
import { z } from 'zod'

/** How the tokenizer's decoder maps a token's vocabulary string to bytes. */
export interface DecodeRule {
  /** GPT-2 alphabet: each character of the vocabulary string stands for one byte. */
  readonly byteLevel: boolean
  /** `<0xAB>` stands for the byte AB. */
  readonly byteFallback: boolean
  /** Literal replacements within each token, in order, e.g. `▁` by a space. */
  readonly replacements: readonly (readonly [from: string, to: string])[]
  /** Spaces to drop from the start of a decoded text, at most. */
  readonly stripAtStart: number
}

const decoderStep = z.looseObject({
  type: z.string(),
  decoders: z.array(z.unknown()).optional(),
  pattern: z.looseObject({ String: z.string().optional() }).optional(),
  content: z.string().optional(),
  start: z.number().optional(),
  stop: z.number().optional(),
  replacement: z.string().optional(),
  prepend_scheme: z.string().optional(),
})
type DecoderStep = z.infer<typeof decoderStep>

function flatten(file: string, decoder: unknown): DecoderStep[] {
  const parsed = decoderStep.safeParse(decoder)
  if (!parsed.success) throw new CheckpointError(file, 'decoder', 'missing; tokens cannot be turned back into text')
  if (parsed.data.type !== 'Sequence') return [parsed.data]
  return (parsed.data.decoders ?? []).flatMap((each) => flatten(file, each))
}

/**
 * The rule of tokenizer.json's `decoder`. Throws CheckpointError for decoders whose output is not a concatenation of per-token bytes
 * (WordPiece, CTC, regular expressions, trimming of each token): they cannot be decoded incrementally.
 */
export function parseDecodeRule(file: string, decoder: unknown): DecodeRule {
  const replacements: [string, string][] = []
  const rule = { byteLevel: false, byteFallback: false, replacements, stripAtStart: 0 }
  let fused = false
  for (const step of flatten(file, decoder)) {
    const { type } = step
    if (type === 'ByteLevel') rule.byteLevel = true
    else if (type === 'ByteFallback') rule.byteFallback = true
    else if (type === 'Fuse') fused = true
    else if (type === 'Replace' && step.pattern?.String !== undefined && !fused) replacements.push([step.pattern.String, step.content ?? ''])
    else if (type === 'Strip' && fused && step.content === ' ' && (step.stop ?? 0) === 0) rule.stripAtStart = step.start ?? 0
    else if (type === 'Metaspace') {
      replacements.push([step.replacement ?? '▁', ' '])
      rule.stripAtStart = step.prepend_scheme === 'never' ? 0 : 1
    } else throw new CheckpointError(file, 'decoder', `${type} in this place is not supported; ByteLevel and SentencePiece-style decoders are`)
  }
  return rule
}

/** GPT-2's reversible alphabet: printable Latin-1 stands for itself, the other 68 bytes follow from U+0100 on. */
function byteLevelAlphabet(): ReadonlyMap<string, number> {
  const alphabet = new Map<string, number>()
  let numMoved = 0
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad)
    alphabet.set(String.fromCharCode(printable ? byte : 256 + numMoved++), byte)
  }
  return alphabet
}

const ALPHABET = byteLevelAlphabet()
const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/
const EMPTY = new Uint8Array(0)

function byteLevelBytes(content: string): Uint8Array {
  const bytes = new Uint8Array(content.length)
  for (let at = 0; at < content.length; at++) {
    const byte = ALPHABET.get(content.charAt(at))
    if (byte === undefined) return Buffer.from(content, 'utf8')
    bytes[at] = byte
  }
  return bytes
}

function bytesByRule(content: string, rule: DecodeRule, isAdded: boolean): Uint8Array {
  if (rule.byteLevel && !isAdded) return byteLevelBytes(content)
  let text = content
  for (const [from, to] of rule.replacements) text = text.replaceAll(from, to)
  const byte = rule.byteFallback ? BYTE_TOKEN.exec(text)?.[1] : undefined
  return byte === undefined ? Buffer.from(text, 'utf8') : Uint8Array.of(Number.parseInt(byte, 16))
}

export interface TokenTableSource {
  readonly numTokens: number
  /** The vocabulary string of a token; undefined for an id that no token has. */
  readonly contentOf: (tokenId: number) => string | undefined
  readonly addedTokens: readonly { readonly id: number; readonly special: boolean }[]
  readonly rule: DecodeRule
}

/** Token id -> bytes, text and the special flag. Ids outside the vocabulary (padding of the embedding table) have no bytes. */
export class TokenTable {
  readonly numTokens: number
  readonly stripAtStart: number
  readonly #offsets: Uint32Array
  readonly #bytes: Uint8Array
  readonly #special: Uint8Array
  readonly #texts: (string | null | undefined)[]

  constructor(source: TokenTableSource) {
    const { numTokens, rule } = source
    const added = new Set(source.addedTokens.map(({ id }) => id))
    const pieces: Uint8Array[] = []
    this.#offsets = new Uint32Array(numTokens + 1)
    for (let id = 0; id < numTokens; id++) {
      const content = source.contentOf(id)
      const piece = content === undefined ? EMPTY : bytesByRule(content, rule, added.has(id))
      pieces.push(piece)
      this.#offsets[id + 1] = (this.#offsets[id] ?? 0) + piece.length
    }
    this.#bytes = Buffer.concat(pieces)
    this.#special = new Uint8Array(numTokens)
    for (const { id, special } of source.addedTokens) if (special) this.#special[id] = 1
    this.#texts = Array.from({ length: numTokens }, () => undefined)
    this.numTokens = numTokens
    this.stripAtStart = rule.stripAtStart
  }

  /** The token's bytes: a view that callers must not write to. */
  bytesOf(tokenId: number): Uint8Array {
    return this.#bytes.subarray(this.#offsets[tokenId] ?? 0, this.#offsets[tokenId + 1] ?? 0)
  }

  isSpecial(tokenId: number): boolean {
    return this.#special[tokenId] === 1
  }

  /** The token's text, or null when its bytes are not complete UTF-8 by themselves. */
  textOf(tokenId: number): string | null {
    const known = this.#texts[tokenId]
    if (known !== undefined) return known
    if (!(tokenId >= 0 && tokenId < this.numTokens)) return ''
    const bytes = this.bytesOf(tokenId)
    const text = isUtf8(bytes) ? Buffer.from(bytes).toString('utf8') : null
    this.#texts[tokenId] = text
    return text
  }
}
