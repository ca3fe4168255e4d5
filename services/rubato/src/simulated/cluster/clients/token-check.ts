// Whether a client was given each token of each choice once, in order.
import type { EngineShape } from '@rubato/model'
import { referenceTokens } from '@rubato/testing/engine'
import type { LiveRecord } from './live-record.ts'

/** Counts what is wrong with the next tokens of a choice: they count up, so each tells its own index. */
export function checkLightTokens(record: LiveRecord, sequence: number, tokenIds: readonly number[], vocabSize: number): void {
  const choice = record.choices[sequence]!
  for (let place = 0; place < tokenIds.length; place++) {
    const index = (tokenIds[place]! - choice.firstToken + vocabSize) % vocabSize
    if (index < choice.nextIndex) record.numDuplicatedTokens += 1
    else {
      record.numLostTokens += index - choice.nextIndex
      choice.nextIndex = index + 1
    }
  }
}

/** Counts what a finished request lacks: its choices run to max_tokens or the end of the context. */
export function checkLightEnd(record: LiveRecord, maxModelLen: number): void {
  const maxTokens = Math.min(record.request?.sampling.maxTokens ?? Infinity, maxModelLen - record.numPromptTokens)
  for (const { nextIndex } of record.choices) record.numLostTokens += Math.max(0, maxTokens - nextIndex)
}

/** Compares what a client was given with what one undisturbed engine computes. `isWhole`: nothing may be missing at the end. */
export function checkAgainstReference(record: LiveRecord, shape: EngineShape, isWhole: boolean): void {
  const { request, tokenIds } = record
  if (request === null || tokenIds === null || request.input.kind !== 'tokens') return
  const { promptIds, sampling } = {
    promptIds: request.input.tokenIds,
    sampling: {
      ...request.sampling,
      maxTokens: Math.min(request.sampling.maxTokens ?? Infinity, shape.maxModelLen - request.input.tokenIds.length),
      seed: record.seed, temperature: request.sampling.temperature ?? 1, topP: 1, topK: 0,
    },
  }
  for (const [sequence, got] of tokenIds.entries()) {
    const expected = referenceTokens({ promptIds, sequence, sampling }, shape)
    let next = 0
    for (const tokenId of got) {
      const found = expected.indexOf(tokenId, next)
      if (found < 0) record.numDuplicatedTokens += 1
      else {
        record.numLostTokens += found - next
        next = found + 1
      }
    }
    if (isWhole) record.numLostTokens += expected.length - next
  }
}
