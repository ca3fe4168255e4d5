import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AnsweredTree, DraftAnswer, DraftAsk } from '@rubato/model'
import { FRESH_CALIBRATION } from '@rubato/policy'
import { problemOfAnswer } from './check-answer.ts'

const ASK: DraftAsk = {
  askId: 1, remainingMs: 50, depth: 3, width: 2, calibration: FRESH_CALIBRATION, leastProbability: 0,
  sequences: [{ handle: 4, introduction: null, firstToken: 10, tokenIds: [1, 2], maxDepth: 9 }, { handle: 5, introduction: null, firstToken: 0, tokenIds: [7], maxDepth: 1 }],
}
const TREE: AnsweredTree = { handle: 4, numTokens: 12, tokenIds: [8, 9, 8, 0], parents: [-1, 0, -1, 1], ranks: [0, 1, 1, 0], gaps: [0, 2.5, 1, 30] }

const check = (trees: readonly AnsweredTree[], fields: Partial<DraftAnswer> = {}): string | null => problemOfAnswer({ askId: 1, trees, unknown: [], queueMs: 0, draftMs: 0, ...fields }, ASK, 10)

test('what was asked for, or less, is an answer', () => {
  const shallow = { handle: 5, numTokens: 1, tokenIds: [3, 4], parents: [-1, -1], ranks: [0, 1], gaps: [1, 1] }
  for (const trees of [[TREE, shallow], [shallow, TREE], [TREE], []]) assert.equal(check(trees), null)
  assert.equal(check([TREE], { unknown: [5] }), null)
})

test('anything else is none', () => {
  const wrongs: Record<string, Partial<AnsweredTree>> = {
    'another handle': { handle: 6 },
    'a place it has not': { numTokens: 13 },
    'a place it had': { numTokens: 11 },
    'no nodes': { tokenIds: [], parents: [], ranks: [], gaps: [] },
    'too many nodes': { tokenIds: [1, 1, 1, 1, 1, 1, 1], parents: [-1, -1, -1, -1, -1, -1, -1], ranks: [0, 0, 0, 0, 0, 0, 0], gaps: [1, 1, 1, 1, 1, 1, 1] },
    'missing parents': { parents: [-1, 0, -1] },
    'missing gaps': { gaps: [] },
    'a token outside the vocabulary': { tokenIds: [8, 9, 10, 0] },
    'half a token': { tokenIds: [8, 9.5, 8, 0] },
    'a negative token': { tokenIds: [8, -1, 8, 0] },
    'a parent behind its child': { parents: [-1, 2, -1, 1] },
    'its own parent': { parents: [-1, 1, -1, 1] },
    'no parent at all': { parents: [-1, 0, -2, 1] },
    'not a parent': { parents: [-1, Number.NaN, -1, 1] },
    'too deep a path': { parents: [-1, 0, 1, 2] },
    'a rank past the width': { ranks: [0, 2, 1, 0] },
    'a negative gap': { gaps: [0, -1, 1, 30] },
    'a gap that is no number': { gaps: [0, Number.NaN, 1, 30] },
    'an endless gap': { gaps: [0, Number.POSITIVE_INFINITY, 1, 30] },
  }
  for (const [name, wrong] of Object.entries(wrongs)) assert.notEqual(check([{ ...TREE, ...wrong }]), null, name)
  assert.notEqual(check([TREE, TREE]), null, 'two trees')
  assert.notEqual(check([{ ...TREE, handle: 5, numTokens: 1 }]), null, 'deeper than what may still be emitted')
  assert.notEqual(check([TREE], { unknown: [6] }), null, 'unknown, and not asked for')
})
