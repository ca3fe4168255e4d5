import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { KernelMemory } from './kernel-memory.ts'
import { compileKernels } from './kernels.ts'
import type { Kernels } from './kernels.ts'

const FLOAT_BYTES = 4

interface Bench {
  readonly kernels: Kernels
  readonly floats: Float32Array
  /** Address of random floats between -`reach` and `reach`. */
  readonly random: (count: number, reach: number) => number
  readonly read: (address: number, count: number) => number[]
}

function open(seed: number, headDim = 16): Bench {
  const memory = new KernelMemory()
  memory.take(100_000)
  const floats = memory.floats()
  const random = seededRandom(seed)
  let used = 0
  const take = (count: number, reach: number): number => {
    const at = used
    used += count
    for (let i = at; i < used; i += 1) floats[i] = (2 * random.next() - 1) * reach
    return at * FLOAT_BYTES
  }
  const read = (address: number, count: number): number[] => [...floats.subarray(address / FLOAT_BYTES, address / FLOAT_BYTES + count)]
  return { kernels: compileKernels({ headDim, rmsNormEps: 1e-3 }, memory.memory), floats, random: take, read }
}

function assertClose(actual: readonly number[], expected: readonly number[], tolerance = 1e-5): void {
  assert.equal(actual.length, expected.length)
  for (const [place, value] of expected.entries()) assert.ok(Math.abs(actual[place]! - value) <= tolerance * Math.max(1, Math.abs(value)), `${place}: ${actual[place]} for ${value}`)
}

test('products of one and of two rows with a panel add to what they start from', () => {
  const { kernels, random, read } = open(testSeed(1))
  for (const inner of [4, 16, 52, 128]) {
    const [x, panel, start, out] = [random(2 * inner, 1), random(16 * inner, 1), random(32, 1), random(64, 1)]
    const [xs, weights, starts] = [read(x, 2 * inner), read(panel, 16 * inner), read(start, 32)]
    const expected = (row: number): number[] =>
      Array.from({ length: 16 }, (_, column) => xs.slice(row * inner, (row + 1) * inner).reduce((sum, value, i) => sum + value * weights[i * 16 + column]!, starts[row * 16 + column]!))
    kernels.twoRows(x, panel, start, out, inner, inner * FLOAT_BYTES, 64, 128)
    assertClose(read(out, 16), expected(0))
    assertClose(read(out + 128, 16), expected(1))
    kernels.oneRow(x, panel, start, start, inner, inner * FLOAT_BYTES, 64, 128)
    assertClose(read(start, 16), expected(0))
  }
})

test('softmax is exact over small and large scores, and ignores what lies behind them', () => {
  const { kernels, floats, random, read } = open(testSeed(2))
  for (const [count, reach] of [[1, 1], [4, 0.1], [7, 30], [250, 5], [61, 1000]] as const) {
    const scores = random(count, reach)
    floats.fill(-1e30, scores / FLOAT_BYTES + count, scores / FLOAT_BYTES + count + 3)
    const before = read(scores, count)
    const weights = before.map((score) => Math.exp(score - Math.max(...before)))
    const sum = weights.reduce((total, weight) => total + weight, 0)
    kernels.softmax(scores, count)
    assertClose(read(scores, count), weights.map((weight) => weight / sum), 1e-6)
    random(3, 1)
  }
})

test('norm and gate are what their formulas say', () => {
  const { kernels, floats, random, read } = open(testSeed(3))
  const [x, weight, out] = [random(52, 2), random(52, 1), random(52, 1)]
  floats.fill(0, x / FLOAT_BYTES + 50, x / FLOAT_BYTES + 52)
  const xs = read(x, 52)
  const scale = 1 / Math.sqrt(xs.reduce((sum, value) => sum + value * value, 0) / 50 + 1e-3)
  const weights = read(weight, 52)
  kernels.rmsNorm(x, weight, out, 52, 1 / 50)
  assertClose(read(out, 52), xs.map((value, i) => value * scale * weights[i]!))
  const [gate, up] = [random(64, 120), random(64, 1)]
  const ups = read(up, 64)
  const gates = read(gate, 64)
  const gated = random(64, 1)
  kernels.gatedUnit(gate, up, gated, 64)
  assertClose(read(gated, 64), gates.map((value, i) => (value / (1 + Math.exp(-value))) * ups[i]!))
})

for (const headDim of [4, 12, 64, 80]) {
  test(`scores and values of any number of tokens, one head or two of ${headDim}`, () => {
    const { kernels, random, read } = open(testSeed(headDim), headDim)
    for (const count of [1, 4, 7, 64]) {
      const stride = count + 3
      const [queries, keys, values, outs] = [random(2 * headDim, 1), random(stride * headDim, 1), random(count * headDim, 1), random(2 * headDim, 1)]
      const [scores, sole, soleOut] = [random(2 * stride, 1), random(stride, 1), random(headDim, 1)]
      const [k, v, start, soleStart] = [read(keys, count * headDim), read(values, count * headDim), read(outs, 2 * headDim), read(soleOut, headDim)]
      const products = [0, 1].map((head) => {
        const q = read(queries + head * headDim * FLOAT_BYTES, headDim)
        return Array.from({ length: count }, (_, token) => q.reduce((sum, value, i) => sum + value * k[token * headDim + i]!, 0))
      })
      const summed = (from: readonly number[], head: number): number[] => from.map((value, i) => products[head]!.reduce((sum, product, token) => sum + product * v[token * headDim + i]!, value))
      kernels.scoresOfTwo(queries, keys, scores, count, stride * FLOAT_BYTES)
      kernels.scoresOfOne(queries, keys, sole, count, 0)
      for (const head of [0, 1]) assertClose(read(scores + head * stride * FLOAT_BYTES, count), products[head]!)
      assertClose(read(sole, count), products[0]!)
      kernels.valuesOfTwo(scores, values, outs, count, stride * FLOAT_BYTES)
      kernels.valuesOfOne(sole, values, soleOut, count, 0)
      for (const head of [0, 1]) assertClose(read(outs + head * headDim * FLOAT_BYTES, headDim), summed(start.slice(head * headDim, (head + 1) * headDim), head))
      assertClose(read(soleOut, headDim), summed(soleStart, 0))
    }
  })
}
