// A checkpoint's text side: tokenizer, chat template and the byte table of its tokens. Immutable after loading.
import { Tokenizer } from '@huggingface/tokenizers'
import { CheckpointError } from '@rubato/config'
import { createHash } from 'node:crypto'
import path from 'node:path'
import { ChatTemplate, findChatTemplate, requireWellFormed } from './chat-template.ts'
import type { RenderOptions, TextMessage } from './chat-template.ts'
import { Detokenizer } from './detokenizer.ts'
import type { DetokenizerOptions } from './detokenizer.ts'
import { parseDecodeRule, TokenTable } from './token-bytes.ts'
import { readTokenizerFiles } from './tokenizer-files.ts'
import type { TokenizerFiles } from './tokenizer-files.ts'

export interface TextModelOptions {
  /** The --chat-template option: a file, or an inline template. Wins over the checkpoint's own. */
  readonly chatTemplate?: string
  /** Rows of the embedding table; every token id must lie below it. Not checked when absent. */
  readonly vocabSize?: number
}

/** What is needed to load the same model elsewhere, e.g. on another thread. */
export interface TextModelSource {
  readonly dir: string
  readonly options: TextModelOptions
}

/** The slice of the tokenizer library in use; its published types do not resolve under `nodenext`. */
interface TokenizerLibrary {
  encode(text: string, options: { add_special_tokens: boolean }): { readonly ids: number[] }
  id_to_token(tokenId: number): string | undefined
  token_to_id(token: string): number | undefined
  get_vocab(): ReadonlyMap<string, number>
}

/** Ids that go around every text that asks for special tokens, in place of tokenizer.json's post_processor. */
interface SpecialFrame {
  readonly before: readonly number[]
  readonly after: readonly number[]
}

const FRAMED_CLASSES: ReadonlySet<string> = new Set(['LlamaTokenizer', 'LlamaTokenizerFast', 'CodeLlamaTokenizer', 'CodeLlamaTokenizerFast'])

function createTokenizer(files: TokenizerFiles): TokenizerLibrary {
  const { tokenizer, config, file } = files
  const optional = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null }
  try {
    const library = new Tokenizer({ ...optional, ...tokenizer }, config) as TokenizerLibrary
    const probe = library.encode('', { add_special_tokens: true })
    if (!probe.ids.every((id) => Number.isSafeInteger(id))) throw new Error('post_processor names a token that is not in the vocabulary')
    return library
  } catch (error) {
    throw new CheckpointError(file, 'tokenizer', (error as Error).message, { cause: error })
  }
}

/** As transformers does: for the Llama classes add_bos_token (default true) and add_eos_token (default false) replace the post_processor. */
function specialFrame(files: TokenizerFiles, library: TokenizerLibrary): SpecialFrame | undefined {
  const { config, specialTokens } = files
  if (!FRAMED_CLASSES.has(config.tokenizer_class ?? '')) return undefined
  const idOf = (content: string | undefined, wanted: boolean): number[] => {
    const tokenId = content === undefined || !wanted ? undefined : library.token_to_id(content)
    return tokenId === undefined ? [] : [tokenId]
  }
  return {
    before: idOf(specialTokens['bos_token'], config.add_bos_token ?? true),
    after: idOf(specialTokens['eos_token'], config.add_eos_token ?? false),
  }
}

function countTokens(files: TokenizerFiles, library: TokenizerLibrary, vocabSize: number | undefined): number {
  let largest = 0
  for (const tokenId of library.get_vocab().values()) largest = Math.max(largest, tokenId)
  if (vocabSize !== undefined && largest >= vocabSize) {
    const token = JSON.stringify(library.id_to_token(largest))
    throw new CheckpointError(files.file, 'vocab', `token ${largest} (${token}) lies outside the model's vocabulary of ${vocabSize}; the files do not belong together`)
  }
  return largest + 1
}

function digestOf(parts: readonly string[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${part.length}\n`).update(part)
  return hash.digest('hex')
}

export class TextModel {
  readonly source: TextModelSource
  /** sha256 over tokenizer.json, tokenizer_config.json and the chat template in force, as hex. */
  readonly digest: string
  readonly tokens: TokenTable
  readonly hasChatTemplate: boolean
  /** Named special tokens, e.g. `bos_token` -> `<s>`. */
  readonly specialTokens: Readonly<Record<string, string>>
  readonly #library: TokenizerLibrary
  readonly #frame: SpecialFrame | undefined
  readonly #template: ChatTemplate

  /** Use `loadTextModel`. */
  constructor(source: TextModelSource, files: TokenizerFiles, template: ChatTemplate) {
    this.source = source
    this.specialTokens = files.specialTokens
    this.#template = template
    this.hasChatTemplate = template.source !== undefined
    this.digest = digestOf([...files.raw, template.source ?? ''])
    const rule = parseDecodeRule(files.file, files.tokenizer.decoder)
    const library = createTokenizer(files)
    const numTokens = countTokens(files, library, source.options.vocabSize)
    this.tokens = new TokenTable({ numTokens, contentOf: (tokenId) => library.id_to_token(tokenId), addedTokens: files.addedTokens, rule })
    this.#library = library
    this.#frame = specialFrame(files, library)
  }

  /** sha256 over which id is which token, as hex: equal for models that can draft for each other. O(vocabulary log vocabulary). */
  vocabularyDigest(): string {
    const tokens = [...this.#library.get_vocab()].sort(([, a], [, b]) => a - b)
    return digestOf(tokens.map(([token, tokenId]) => `${tokenId} ${token}`))
  }

  /**
   * Token ids of a text. Special tokens written out in the text become those tokens, as in vLLM; `addSpecialTokens` adds the tokenizer's own
   * (e.g. beginning of sequence): true for plain prompts, false for rendered chats. About 1 µs per character: long texts belong in a TextPool.
   * Throws InvalidArgument naming `field` for a lone surrogate.
   */
  encode(text: string, addSpecialTokens: boolean, field = 'prompt'): number[] {
    requireWellFormed(text, field)
    const frame = addSpecialTokens ? this.#frame : undefined
    const { ids } = this.#library.encode(text, { add_special_tokens: addSpecialTokens && frame === undefined })
    return frame === undefined ? ids : [...frame.before, ...ids, ...frame.after]
  }

  /** Text of a whole token sequence, special tokens left out unless asked for. Equals what a Detokenizer emits in all. */
  decode(tokenIds: ArrayLike<number>, options: Pick<DetokenizerOptions, 'skipSpecialTokens'> = {}): string {
    const detokenizer = this.detokenizer(options)
    return detokenizer.push(tokenIds) + detokenizer.flush()
  }

  /** An incremental decoder for one sequence; see DetokenizerOptions.precedingTokens for output that follows a prompt. */
  detokenizer(options: DetokenizerOptions = {}): Detokenizer {
    return new Detokenizer(this.tokens, options)
  }

  /** The prompt text of a conversation; see ChatTemplate.render. Encode it with `addSpecialTokens` false. */
  renderChat(messages: readonly TextMessage[], options: RenderOptions = {}): string {
    return this.#template.render(messages, options)
  }
}

/**
 * Loads the text side of a Hugging Face checkpoint directory, synchronously (tens of milliseconds per 10k tokens of vocabulary).
 * Throws CheckpointError naming the file, or InvalidArgument on `chat-template`.
 */
export function loadTextModel(dir: string, options: TextModelOptions = {}): TextModel {
  const absolute = path.resolve(dir)
  const files = readTokenizerFiles(absolute)
  const template = findChatTemplate(absolute, files.config, options.chatTemplate)
  return new TextModel({ dir: absolute, options }, files, new ChatTemplate(absolute, template, files.specialTokens))
}
