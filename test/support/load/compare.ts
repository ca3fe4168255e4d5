// Whether an answer is the one that an undisturbed instance gives.
import assert from 'node:assert/strict'
import type { Answer } from './answer.ts'

/** Recomputed tokens come of runs of another shape, which changes the last bits of a logit. */
const LOGPROB_TOLERANCE = 1e-3

/** A complete answer is equal, one that its client left is how the other begins. Throws where a token, a text or an end differs. */
export function assertSameAnswer(answer: Answer, expected: Answer, label: string): void {
  answer.choices.forEach((choice, index) => {
    const whole = expected.choices[index]!
    const at = `${label}, choice ${index}`
    const numTokens = choice.tokenIds.length
    assert.deepEqual(choice.tokenIds, whole.tokenIds.slice(0, numTokens), `${at}: tokens`)
    assert.ok(whole.text.startsWith(choice.text), `${at}: text ${JSON.stringify(choice.text)} of ${JSON.stringify(whole.text)}`)
    choice.logprobs.forEach((entries, token) => entries.forEach((logprob, rank) => {
      const other = whole.logprobs[token]![rank]!
      assert.ok(Math.abs(logprob - other) <= LOGPROB_TOLERANCE, `${at}: logprob ${logprob} of token ${token}, ${other} undisturbed`)
    }))
    if (choice.finish === null) return
    assert.deepEqual([numTokens, choice.text, choice.finish, choice.stopReason], [whole.tokenIds.length, whole.text, whole.finish, whole.stopReason], at)
  })
  if (answer.isComplete) assert.equal(answer.completionTokens, expected.completionTokens, `${label}: usage`)
}
