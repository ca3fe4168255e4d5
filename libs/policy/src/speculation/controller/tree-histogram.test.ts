import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TreeHistogram, edgeProbability, emptyCurve } from './tree-histogram.ts'

const CHAIN = { parents: [-1, 0, 1], pathProbability: Float64Array.of(0.8, 0.5, 0.3) }

function curveOf(histogram: TreeHistogram): ReturnType<typeof emptyCurve> {
  const curve = emptyCurve()
  histogram.addTo(curve, 1)
  return curve
}

const edgeOf = (probability: number): number => Array.from({ length: 25 }, (_, edge) => edge).find((edge) => edgeProbability(edge) <= probability + 1e-9)!

test('worked example: nodes that hang below a node of at least the edge, and are worth verifying beside it', () => {
  const { grown, levels, nodes, tokens } = curveOf(new TreeHistogram(CHAIN))
  // Nothing grown but the root: its child alone. Grown down to one half: all three, two of them grown from.
  assert.deepEqual([nodes[0], tokens[0], grown[0], levels[0]], [1, 0.8, 0, 1])
  const half = edgeOf(0.5)
  assert.deepEqual([nodes[half], grown[half], levels[half]], [3, 2, 3])
  assert.ok(Math.abs(tokens[half]! - 1.6) < 1e-12)
})

test('a tree says nothing of what it was not grown to', () => {
  const histogram = new TreeHistogram(CHAIN)
  const root = { parents: [-1], pathProbability: Float64Array.of(0.9) }
  const before = curveOf(histogram)
  for (let count = 0; count < 200; count++) histogram.observe(root, 0.7)
  const after = curveOf(histogram)
  assert.ok(after.grown[0] === 0 && Math.abs(after.tokens[0]! - 0.9) < 0.01)
  const [some, all] = [edgeOf(0.7), edgeOf(0.3)]
  // What lies between the two edges is as it was.
  assert.ok(Math.abs(after.tokens[all]! - after.tokens[some]! - (before.tokens[all]! - before.tokens[some]!)) < 1e-9)
})
