// Prompts without meaning: random token ids, or random words where the endpoint takes text only.
import { randomStream } from '@rubato/sim'
import type { RandomStream } from '@rubato/sim'
import type { DatasetOptions } from '../options.ts'
import type { PromptInput } from './planned-request.ts'
import { readPromptText } from './prompt-text.ts'

/** Part of a prompt. Equal streams give equal content; a shorter part is the beginning of a longer one. */
export interface PromptPart {
  readonly stream: string
  readonly tokens: number
}

export class RandomPrompts {
  readonly #seed: number
  readonly #options: DatasetOptions
  /** Empty: token ids. */
  readonly #words: readonly string[]

  constructor(options: DatasetOptions, seed: number, asText: boolean) {
    this.#seed = seed
    this.#options = options
    this.#words = asText ? [...new Set(readPromptText(null).toLowerCase().match(/[a-z]+/g))] : []
  }

  make(parts: readonly PromptPart[]): PromptInput {
    if (this.#words.length > 0) return { kind: 'text', text: parts.map((part) => this.#text(part)).join(' ') }
    return { kind: 'tokens', tokenIds: parts.flatMap((part) => this.#tokenIds(part)) }
  }

  #random(part: PromptPart): RandomStream {
    return randomStream(this.#seed, part.stream)
  }

  #tokenIds(part: PromptPart): number[] {
    const { firstTokenId, vocabSize } = this.#options
    const random = this.#random(part)
    return Array.from({ length: part.tokens }, () => Math.floor(random.between(firstTokenId, vocabSize)))
  }

  #text(part: PromptPart): string {
    const random = this.#random(part)
    const chars = part.tokens * this.#options.charsPerToken
    let text = ''
    while (text.length < chars) text += `${this.#words[Math.floor(random.next() * this.#words.length)] ?? ''} `
    return text.trimEnd()
  }
}
