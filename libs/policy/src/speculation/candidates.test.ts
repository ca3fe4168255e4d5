import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import type { SeededRandom } from '@rubato/testing'
import { decidedNodes, depthOf, prunedTree, reestimated } from './candidates.ts'
import type { CandidateTree } from './candidates.ts'

function randomTree(random: SeededRandom): CandidateTree {
  const parents = Array.from({ length: 1 + random.int(12) }, (_, node) => random.int(node + 1) - 1)
  const probability: number[] = []
  for (const parent of parents) probability.push((parent < 0 ? 1 : probability[parent]!) * random.next())
  return { tokenIds: parents.map(() => random.int(3)), parents, pathProbability: Float64Array.from(probability), ranks: parents.map(() => random.int(3)), gaps: parents.map(() => 3 * random.next()) }
}

test('new estimates sort the nodes anew: every prefix is closed under parents, whatever the estimates say', () => {
  const seed = testSeed(84)
  const random = seededRandom(seed)
  for (let round = 0; round < 300; round++) {
    const rule = [(): number => 1, (): number => 0, (rank: number, gap: number): number => 1 / (1 + rank + gap)][round % 3]!
    const tree = reestimated(randomTree(random), rule)
    tree.parents.forEach((parent, node) => assert.ok(parent < node, `seed ${seed}, round ${round}`))
    tree.pathProbability.forEach((probability, node) => assert.ok(node === 0 || probability <= tree.pathProbability[node - 1]!, `seed ${seed}`))
  }
})

test('pruning keeps parents and depths', () => {
  const seed = testSeed(85)
  const random = seededRandom(seed)
  for (let round = 0; round < 300; round++) {
    const tree = reestimated(randomTree(random), (_rank, gap) => gap / 3)
    const numNodes = 1 + random.int(tree.tokenIds.length)
    const maxDepth = random.int(5)
    const pruned = prunedTree(tree, numNodes, maxDepth)
    assert.ok(pruned.tokenIds.length <= numNodes && depthOf(pruned, pruned.tokenIds.length) <= maxDepth, `seed ${seed}`)
    pruned.parents.forEach((parent, node) => assert.ok(parent < node, `seed ${seed}`))
    if (maxDepth >= depthOf(tree, numNodes)) assert.deepEqual(pruned.tokenIds, tree.tokenIds.slice(0, numNodes))
  }
})

test('worked example: the children of every node that was reached are decided, verified or not', () => {
  const tree: CandidateTree = { tokenIds: [5, 6, 7, 8], parents: [-1, -1, 0, 2], pathProbability: Float64Array.of(0.6, 0.3, 0.25, 0.1), ranks: [0, 1, 0, 0], gaps: [1, 2, 3, 4] }
  const { nodes, at } = decidedNodes(tree, [5, 7], -1, 0)
  assert.deepEqual(nodes.map(({ depth, rank, accepted }) => [depth, rank, accepted]), [[1, 0, true], [1, 1, false], [2, 0, true]])
  assert.equal(at, 2)
  assert.deepEqual(decidedNodes(tree, [9], 2, 2), { nodes: [{ rank: 0, gap: 4, depth: 3, accepted: false }], at: null })
  assert.equal(decidedNodes(tree, [9], -1, 0).at, null)
})
