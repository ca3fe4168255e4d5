// What faults did to answers: each against the answer to the same request in a run without any.
import type { RunRecord } from '../../serve/report/attainment.ts'

export interface AnswerDifferences {
  /** Answers that completed in both runs. */
  readonly compared: number
  /** Answers that did not complete under faults. */
  readonly failed: number
  /** Tokens more than in the other run, summed over the answers. */
  readonly duplicated_tokens: number
  /** Tokens fewer, likewise. */
  readonly missing_tokens: number
  /** Positions that both have, with another token. */
  readonly differing_tokens: number
  /** Indices of requests with any of these, the first twenty. */
  readonly requests: readonly number[]
}

export function compareAnswers(disturbed: readonly RunRecord[], undisturbed: readonly RunRecord[]): AnswerDifferences {
  const expected = new Map(undisturbed.filter(({ answer }) => answer.end.kind === 'completed').map(({ request, answer }) => [request.index, answer.tokenIds]))
  let [compared, failed, duplicated, missing, differing] = [0, 0, 0, 0, 0]
  const requests: number[] = []
  for (const { request, answer } of disturbed) {
    const want = expected.get(request.index)
    if (answer.end.kind !== 'completed') {
      failed++
      requests.push(request.index)
      continue
    }
    if (want === undefined) continue
    compared++
    const got = answer.tokenIds
    const numDiffering = want.reduce((count, tokenId, place) => count + (place < got.length && got[place] !== tokenId ? 1 : 0), 0)
    duplicated += Math.max(0, got.length - want.length)
    missing += Math.max(0, want.length - got.length)
    differing += numDiffering
    if (numDiffering > 0 || got.length !== want.length) requests.push(request.index)
  }
  return { compared, failed, duplicated_tokens: duplicated, missing_tokens: missing, differing_tokens: differing, requests: requests.slice(0, 20) }
}
