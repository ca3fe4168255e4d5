import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NUM_EDGES, TreeHistogram, edgeProbability, emptyCurve, placeOf } from './tree-histogram.ts'

const CHAIN = { parents: [-1, 0, 1], pathProbability: Float64Array.of(0.8, 0.5, 0.3) }

function curveOf(histogram: TreeHistogram): ReturnType<typeof emptyCurve> {
  const curve = emptyCurve()
  histogram.addTo(curve, 1)
  return curve
}

const edgeOf = (probability: number): number => Array.from({ length: NUM_EDGES }, (_, edge) => edge).find((edge) => edgeProbability(edge) <= probability + 1e-9)!

/** Over the first levels. */
const upTo = (column: Float64Array, depth: number, edge: number): number => Array.from({ length: depth }, (_, level) => column[placeOf(level + 1, edge)]!).reduce((sum, value) => sum + value, 0)

test('worked example: nodes that hang below a node of at least the edge, and are worth verifying beside it, level by level', () => {
  const { deeper, grown, nodes, tokens } = curveOf(new TreeHistogram(CHAIN))
  // Nothing grown but the root: its child alone. Grown down to one half: all three, two of them grown from.
  assert.deepEqual([upTo(nodes, 3, 0), upTo(tokens, 3, 0), upTo(grown, 3, 0)], [1, 0.8, 0])
  const half = edgeOf(0.5)
  assert.deepEqual([upTo(nodes, 3, half), upTo(grown, 3, half)], [3, 2])
  assert.ok(Math.abs(upTo(tokens, 3, half) - 1.6) < 1e-12)
  // Two levels of it.
  assert.deepEqual([upTo(nodes, 2, half), upTo(tokens, 2, half), upTo(grown, 1, half)], [2, 1.3, 1])
  assert.deepEqual([1, 2, 3].map((depth) => deeper[placeOf(depth, half)]), [1, 1, 0])
})

test('a tree says nothing of what it was not grown to, neither less likely nor deeper', () => {
  const histogram = new TreeHistogram(CHAIN)
  const root = { parents: [-1], pathProbability: Float64Array.of(0.9) }
  const before = curveOf(histogram)
  for (let count = 0; count < 200; count++) histogram.observe(root, { leastGrown: 0.7, depth: 2 })
  const after = curveOf(histogram)
  assert.ok(upTo(after.grown, 1, 0) === 0 && Math.abs(upTo(after.tokens, 1, 0) - 0.9) < 0.01)
  const [some, all] = [edgeOf(0.7), edgeOf(0.3)]
  // What lies between the two edges is as it was, and so is the third level.
  const between = ({ tokens }: typeof after): number => upTo(tokens, 2, all) - upTo(tokens, 2, some)
  assert.ok(Math.abs(between(after) - between(before)) < 1e-9)
  assert.ok(Math.abs(after.tokens[placeOf(3, all)]! - before.tokens[placeOf(3, all)]!) < 1e-12)
})
