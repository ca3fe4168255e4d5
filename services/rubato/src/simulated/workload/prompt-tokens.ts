// Token ids of simulated prompts: equal where a trace says that prefix blocks are equal, and like no other elsewhere.
import { randomStream } from '@rubato/sim'
import { MOONCAKE_BLOCK_TOKENS } from '../../bench/serve/dataset/trace-rows.ts'
import type { PlannedRequest } from './planned-request.ts'

/** Ids in [0, vocabSize). A pure function of its arguments. */
export function promptTokenIds({ index, promptTokens, blockIds }: Pick<PlannedRequest, 'index' | 'promptTokens' | 'blockIds'>, seed: number, vocabSize: number): number[] {
  const tokenIds: number[] = []
  const fill = (name: string, count: number): void => {
    const random = randomStream(seed, name)
    for (const end = Math.min(promptTokens, tokenIds.length + count); tokenIds.length < end;) tokenIds.push(random.int(vocabSize))
  }
  for (const blockId of blockIds) fill(`block ${blockId}`, MOONCAKE_BLOCK_TOKENS)
  fill(`prompt ${index}`, promptTokens)
  return tokenIds
}
