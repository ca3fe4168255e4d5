// The answer to one request as its client puts it together, over however many streams it took.
//
// 1. A token that arrived is never dropped: what a later stream sends of it again must be the same.
// 2. Nothing follows the end of a choice, but a later stream says the same end again.
import assert from 'node:assert/strict'

export interface ChoiceAnswer {
  tokenIds: number[]
  text: string
  /** Per token its own logprob, then those of its alternatives; empty where none were asked for. */
  logprobs: number[][]
  finish: string | null
  stopReason: string | number | null
}

/** What one message of a stream, or the one answer, says of a choice. */
export type ChoicePart = Readonly<ChoiceAnswer> & { readonly index: number }

export class Answer {
  readonly choices: ChoiceAnswer[]
  /** As the server counted them; null: it has not said. */
  completionTokens: number | null = null
  #again: readonly (readonly number[])[] = []

  constructor(numChoices: number) {
    this.choices = Array.from({ length: numChoices }, emptyChoice)
  }

  get counts(): number[] {
    return this.choices.map(({ tokenIds }) => tokenIds.length)
  }

  get isComplete(): boolean {
    return this.completionTokens !== null && this.choices.every(({ finish }) => finish !== null)
  }

  /** Everything is sent again from the first token: it has to begin with what was there before. */
  startOver(): void {
    this.#again = this.choices.map(({ tokenIds }, index) => (tokenIds.length >= (this.#again[index]?.length ?? 0) ? [...tokenIds] : this.#again[index]!))
    this.choices.forEach((_, index) => (this.choices[index] = emptyChoice()))
  }

  add(part: ChoicePart): void {
    const choice = this.choices[part.index]
    assert.ok(choice !== undefined, `an answer for choice ${part.index} of ${this.choices.length}`)
    if (choice.finish !== null) {
      assert.deepEqual([part.tokenIds, part.text, part.finish, part.stopReason], [[], '', choice.finish, choice.stopReason], 'something came after the end of a choice')
      return
    }
    choice.tokenIds.push(...part.tokenIds)
    choice.text += part.text
    choice.logprobs.push(...part.logprobs)
    choice.finish = part.finish
    choice.stopReason = part.stopReason
    const before = this.#again[part.index] ?? []
    const numBoth = Math.min(before.length, choice.tokenIds.length)
    assert.deepEqual(choice.tokenIds.slice(0, numBoth), before.slice(0, numBoth), 'tokens that were sent again differ')
  }
}

function emptyChoice(): ChoiceAnswer {
  return { tokenIds: [], text: '', logprobs: [], finish: null, stopReason: null }
}
