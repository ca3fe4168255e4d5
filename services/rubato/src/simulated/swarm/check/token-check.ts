// Whether clients are given the right tokens, once and in order, as they come.
import type { EngineShape } from '@rubato/model'
import { referenceTokens } from '@rubato/testing/engine'
import type { SimRequestRecord } from '../../cluster/index.ts'
import type { Verdict } from './violation.ts'

interface Expected {
  readonly choices: readonly (readonly number[])[]
  /** Tokens of each choice that were compared. */
  readonly numChecked: number[]
}

export class TokenCheck {
  readonly #shape: EngineShape
  readonly #verdict: Verdict
  readonly #expected = new Map<string, Expected>()

  constructor(shape: EngineShape, verdict: Verdict) {
    this.#shape = shape
    this.#verdict = verdict
  }

  onTokens(record: SimRequestRecord): void {
    const { requestId, tokenIds } = record
    const expected = this.#expectedOf(record)
    for (const [index, got] of tokenIds!.entries()) {
      const right = expected.choices[index]!
      for (let place = expected.numChecked[index]!; place < got.length; place++) {
        if (got[place] === right[place]) continue
        this.#verdict.fail(wrongness(right, place, got[place]!), `${requestId}, choice ${index}: token ${place} is ${got[place]} and should be ${right[place] ?? 'none'}`, [requestId])
      }
      expected.numChecked[index] = got.length
    }
  }

  onEnd(record: SimRequestRecord): void {
    if (record.end !== 'finished') return
    const { requestId, tokenIds, usage } = record
    const { choices } = this.#expectedOf(record)
    let numTokens = 0
    for (const [index, right] of choices.entries()) {
      numTokens += right.length
      const numGot = tokenIds![index]!.length
      if (numGot < right.length) this.#verdict.fail('exactly-once', `${requestId}, choice ${index}: finished after ${numGot} of ${right.length} tokens`, [requestId])
    }
    if (usage?.completionTokens !== numTokens) this.#verdict.fail('exactly-once', `${requestId}: usage says ${usage?.completionTokens} tokens of ${numTokens}`, [requestId])
  }

  #expectedOf(record: SimRequestRecord): Expected {
    let expected = this.#expected.get(record.requestId)
    if (expected === undefined) {
      const choices = Array.from({ length: record.n }, (_, sequence) => this.#reference(record, sequence))
      expected = { choices, numChecked: choices.map(() => 0) }
      this.#expected.set(record.requestId, expected)
    }
    return expected
  }

  #reference({ request, seed }: SimRequestRecord, sequence: number): readonly number[] {
    if (request?.input.kind !== 'tokens') return []
    const { input, sampling } = request
    const promptIds = input.tokenIds
    const maxTokens = Math.min(sampling.maxTokens ?? Infinity, this.#shape.maxModelLen - promptIds.length)
    return referenceTokens({ promptIds, sequence, sampling: { ...sampling, maxTokens, seed, temperature: sampling.temperature ?? 1, topP: 1, topK: 0 } }, this.#shape)
  }
}

/** A token of the choice in a wrong place was skipped to or came again; any other is none of its tokens. */
function wrongness(right: readonly number[], place: number, got: number): 'exactly-once' | 'identity' {
  return place >= right.length || right.includes(got) ? 'exactly-once' : 'identity'
}
