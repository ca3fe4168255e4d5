// Attention of one or two query heads that share a KV head over consecutive tokens of one block, for a given head size (a
// multiple of 4). Two heads read every key and value once. The heads' queries and outputs lie side by side, their scores
// `scoresStride` bytes apart.
import { FunctionWriter } from './assembler.ts'
import type { Local } from './assembler.ts'

/** Vectors that are summed at a time: with what they are made from they fit in 16 registers. */
const MOST_SUMS = 8
/** Tokens whose products are taken together. */
const TOKENS = 4

/** (query, keys, scores, numTokens, scoresStride): the products of each query with each key; writes up to three floats too many. */
export function attentionScores(headDim: number, numHeads: 1 | 2): FunctionWriter {
  const f = new FunctionWriter(['i32', 'i32', 'i32', 'i32', 'i32'])
  const [query, keys, scores, numTokens, scoresStride] = [0, 1, 2, 3, 4]
  const parts = f.locals('v128', numHeads)
  const key = f.local('v128')
  const sums = parts.map(() => f.locals('v128', TOKENS))
  const outs = addressesOfHeads(f, scores, scoresStride, numHeads)
  f.countDown(numTokens, TOKENS, () => {
    for (const sum of sums.flat()) f.floats(0).set(sum)
    for (let at = 0; at < 4 * headDim; at += 16) {
      for (const [head, part] of parts.entries()) f.load(query, 4 * headDim * head + at).set(part)
      for (let token = 0; token < TOKENS; token += 1) {
        f.load(keys, 4 * headDim * token + at).set(key)
        for (const [head, part] of parts.entries()) f.get(part, key, sums[head]![token]!).vector('madd').set(sums[head]![token]!)
      }
    }
    for (const [head, out] of outs.entries()) f.store(out, 0, () => addLanes(f, sums[head]!)).advance(out, 4 * TOKENS)
    f.advance(keys, 4 * headDim * TOKENS)
  })
  return f
}

/** Leaves the vector of the four vectors' lane sums; overwrites them. */
function addLanes(f: FunctionWriter, sums: readonly Local[]): void {
  const [a, b, c, d] = sums as [Local, Local, Local, Local]
  for (const [left, right] of [[a, b], [c, d]] as const) {
    f.get(left, right).shuffle([0, 4, 1, 5]).get(left, right).shuffle([2, 6, 3, 7]).vector('add').set(left)
  }
  f.get(a, c).shuffle([0, 1, 4, 5]).get(a, c).shuffle([2, 3, 6, 7]).vector('add')
}

/** (probabilities, values, out, numTokens, scoresStride): adds the values in each head's proportions to its output. */
export function attentionValues(headDim: number, numHeads: 1 | 2): FunctionWriter {
  const f = new FunctionWriter(['i32', 'i32', 'i32', 'i32', 'i32'])
  const [probabilities, values, out, numTokens, scoresStride] = [0, 1, 2, 3, 4]
  const [value, left] = f.locals('i32', 2) as [Local, Local]
  const rows = addressesOfHeads(f, probabilities, scoresStride, numHeads)
  const reads = f.locals('i32', numHeads)
  const factors = f.locals('v128', numHeads)
  const part = f.local('v128')
  const sums = f.locals('v128', MOST_SUMS)
  const step = MOST_SUMS / numHeads
  for (let from = 0; from < headDim / 4; from += step) {
    const count = Math.min(step, headDim / 4 - from)
    const places = factors.flatMap((_, head) => Array.from({ length: count }, (__, index) => ({ sum: sums[head * step + index]!, at: 4 * headDim * head + 16 * (from + index) })))
    f.get(values).set(value).get(numTokens).set(left)
    for (const [head, row] of rows.entries()) f.get(row).set(reads[head]!)
    for (const { sum, at } of places) f.load(out, at).set(sum)
    f.countDown(left, 1, () => {
      for (const [head, read] of reads.entries()) f.loadSplat(read).set(factors[head]!).advance(read, 4)
      for (let index = 0; index < count; index += 1) {
        f.load(value, 16 * (from + index)).set(part)
        for (const [head, factor] of factors.entries()) f.get(factor, part, sums[head * step + index]!).vector('madd').set(sums[head * step + index]!)
      }
      f.advance(value, 4 * headDim)
    })
    for (const { sum, at } of places) f.store(out, at, () => f.get(sum))
  }
  return f
}

/** `first`, and the address a stride behind it for a second head. */
function addressesOfHeads(f: FunctionWriter, first: Local, stride: Local, numHeads: 1 | 2): readonly Local[] {
  if (numHeads === 1) return [first]
  const second = f.local('i32')
  f.get(first, stride).scalar('addI32').set(second)
  return [first, second]
}
