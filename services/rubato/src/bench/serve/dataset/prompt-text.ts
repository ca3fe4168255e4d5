// Natural text for prompts: the bundled Shakespeare, or a file of the user's.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { InvalidArgument } from '@rubato/config'
import type { RandomStream } from '@rubato/sim'

const BUNDLED_TEXT = fileURLToPath(new URL('../../../../data/shakespeare.txt', import.meta.url))

/** The text of a file, the bundled one where none is named. Throws InvalidArgument for --dataset-path. */
export function readPromptText(file: string | null): string {
  let text: string
  try {
    text = readFileSync(file ?? BUNDLED_TEXT, 'utf8')
  } catch (error) {
    throw new InvalidArgument('--dataset-path', `cannot read ${file}: ${(error as Error).message}`, { cause: error })
  }
  if (text.trim() === '') throw new InvalidArgument('--dataset-path', `${file} holds no text`)
  return text
}

/** Where each word begins. */
function wordStarts(text: string): number[] {
  return Array.from(text.matchAll(/\S+/g), (match) => match.index)
}

function shuffle(items: number[], random: RandomStream): void {
  for (let last = items.length - 1; last > 0; last--) {
    const other = random.int(last + 1)
    const kept = items[last]!
    items[last] = items[other]!
    items[other] = kept
  }
}

/** Excerpts that each begin at another word, in an order drawn once: none repeats before every word has been a beginning. */
export class Excerpts {
  readonly #text: string
  readonly #starts: readonly number[]
  #taken = 0

  constructor(text: string, random: RandomStream) {
    const starts = wordStarts(text)
    shuffle(starts, random)
    this.#text = text
    this.#starts = starts
  }

  /** About this many characters, ending at the last whole word within them; past the end the text begins again. */
  next(chars: number): string {
    const start = this.#starts[this.#taken++ % this.#starts.length] ?? 0
    let excerpt = this.#text.slice(start, start + chars)
    while (excerpt.length < chars) excerpt += this.#text.slice(0, chars - excerpt.length)
    const cut = /\s\S*$/.exec(excerpt)
    return cut === null || cut.index === 0 ? excerpt : excerpt.slice(0, cut.index)
  }
}
