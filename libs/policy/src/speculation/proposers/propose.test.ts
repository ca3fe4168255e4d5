import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { MatchAcceptance } from './match-acceptance.ts'
import { MAX_PROPOSED, proposeByLookup, proposeBySuffix } from './propose.ts'
import { MAX_MATCH, MIN_MATCH, TokenChains } from './token-chains.ts'

function chainsOf(...tokens: readonly number[]): TokenChains {
  const chains = new TokenChains()
  chains.append(tokens)
  return chains
}

test('lookup continues the longest earlier match, the latest of equals', () => {
  const acceptance = new MatchAcceptance()
  assert.deepEqual(proposeByLookup(chainsOf(1, 2, 3, 4, 5, 9, 1, 2, 3), acceptance, 2)?.tokenIds, [4, 5])
  // [8, 3] matches once with three tokens (7 8 3 -> 1), once later with two (8 3 -> 2).
  assert.deepEqual(proposeByLookup(chainsOf(7, 8, 3, 1, 6, 8, 3, 2, 7, 8, 3), acceptance, 1)?.tokenIds, [1])
  assert.deepEqual(proposeByLookup(chainsOf(8, 3, 1, 8, 3, 2, 8, 3), acceptance, 1)?.tokenIds, [2])
  assert.equal(proposeByLookup(chainsOf(1, 2, 3), acceptance, 4), null)
  assert.equal(proposeByLookup(chainsOf(1), acceptance, 4), null)
})

test('suffix decoding follows the most frequent continuation, and stops where the path turns unlikely', () => {
  const acceptance = new MatchAcceptance()
  for (let count = 0; count < 200; count++) for (let length = MIN_MATCH; length <= MAX_MATCH; length++) acceptance.learn(length, true)
  const chains = chainsOf(5, 6, 1, 0, 5, 6, 2, 0, 5, 6, 2, 0, 5, 6)
  assert.equal(proposeBySuffix(chains, acceptance, 8)?.tokenIds[0], 2)
  const unlikely = new MatchAcceptance()
  for (let count = 0; count < 400; count++) for (let length = MIN_MATCH; length <= MAX_MATCH; length++) unlikely.learn(length, false)
  assert.equal(proposeBySuffix(chains, unlikely, 8)?.tokenIds.length, 1)
})

test('the index finds what a scan finds, however the tokens arrive', () => {
  const seed = testSeed(81)
  const random = seededRandom(seed)
  for (let round = 0; round < 60; round++) {
    const chains = new TokenChains()
    while (chains.length < 60) chains.append(Array.from({ length: 1 + random.int(4) }, () => random.int(4)))
    const { tokens } = chains
    const scanned: number[] = []
    for (let next = tokens.length - 1; next >= MIN_MATCH; next--) {
      if (tokens[next - 1] === tokens.at(-1) && tokens[next - 2] === tokens.at(-2)) scanned.push(next)
    }
    const found = chains.occurrences()
    assert.deepEqual(found.map(({ next }) => next), scanned.slice(0, 32), `seed ${seed}, round ${round}`)
    for (const { next, matchTokens } of found) {
      assert.deepEqual(tokens.slice(next - matchTokens, next), tokens.slice(-matchTokens), `seed ${seed}`)
      assert.ok(matchTokens >= MIN_MATCH && matchTokens <= MAX_MATCH)
    }
  }
})

test('proposals are chains with falling path probabilities, at most eight tokens', () => {
  const seed = testSeed(82)
  const random = seededRandom(seed)
  const acceptance = new MatchAcceptance()
  for (let round = 0; round < 200; round++) {
    const chains = chainsOf(...Array.from({ length: 5 + random.int(80) }, () => random.int(3)))
    for (const tree of [proposeByLookup(chains, acceptance, 1 + random.int(20)), proposeBySuffix(chains, acceptance, 1 + random.int(20))]) {
      if (tree === null) continue
      assert.ok(tree.tokenIds.length >= 1 && tree.tokenIds.length <= MAX_PROPOSED, `seed ${seed}`)
      assert.deepEqual(tree.parents, tree.tokenIds.map((_, node) => node - 1))
      tree.pathProbability.forEach((probability, node) => assert.ok(probability > 0 && probability < (tree.pathProbability[node - 1] ?? 1), `seed ${seed}`))
      tree.gaps.forEach((gap) => acceptance.learn(gap, random.next() < 0.5))
    }
  }
})

test('estimates follow what longer matches bring', () => {
  const seed = testSeed(83)
  const random = seededRandom(seed)
  const acceptance = new MatchAcceptance()
  for (let round = 0; round < 1000; round++) for (let length = MIN_MATCH; length <= MAX_MATCH; length++) acceptance.learn(length, random.next() < length / 10)
  for (let length = MIN_MATCH; length <= MAX_MATCH; length++) assert.ok(Math.abs(acceptance.ratio(length) - length / 10) < 0.08, `seed ${seed}: ${length}`)
})
