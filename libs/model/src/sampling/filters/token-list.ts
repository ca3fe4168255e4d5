// A short list of tokens and selection from it by the token order, in expected linear time: no sorting.
import { logitOfKey, orderKey, tokenIdOfKey } from '../row/order.ts'

/** The tokens a filter leaves: logits above `logit`, and at `logit` the ids up to `tokenId`. */
export interface Cut {
  logit: number
  tokenId: number
}

/** Below every float32, so that -Infinity (a masked token) is never left. */
const LOWEST_LOGIT = -3.5e38

/** A cut that leaves every token whose logit is finite. */
export function openCut(): Cut {
  return { logit: LOWEST_LOGIT, tokenId: Number.MAX_SAFE_INTEGER }
}

/** Whether the cut leaves the token. */
export function isLeft(cut: Cut, logit: number, tokenId: number): boolean {
  return logit > cut.logit || (logit === cut.logit && tokenId <= cut.tokenId)
}

export class TokenList {
  #keys = new Float64Array(256)
  #weights = new Float64Array(256)
  #count = 0

  get count(): number {
    return this.#count
  }

  clear(): void {
    this.#count = 0
  }

  add(logit: number, tokenId: number, weight: number): void {
    if (this.#count === this.#keys.length) this.#grow()
    this.#keys[this.#count] = orderKey(logit, tokenId)
    this.#weights[this.#count] = weight
    this.#count++
  }

  /** Sets each token's weight from its logit. */
  weigh(weightOf: (logit: number) => number): void {
    for (let i = 0; i < this.#count; i++) this.#weights[i] = weightOf(logitOfKey(this.#keys[i]!))
  }

  get mass(): number {
    return sum(this.#weights, 0, this.#count)
  }

  /** Shortens the list to its first `count` tokens in the token order, and `cut` to the last of them. */
  keepCount(count: number, cut: Cut): void {
    if (count <= this.#count) this.#keep(selectPrefix(this.#keys, this.#weights, this.#count, { count }), cut)
  }

  /** Shortens the list to the shortest prefix of the token order that weighs at least `mass` (else all), and `cut` with it. */
  keepMass(mass: number, cut: Cut): void {
    if (this.#count > 0) this.#keep(selectPrefix(this.#keys, this.#weights, this.#count, { mass }), cut)
  }

  #keep(last: number, cut: Cut): void {
    const key = this.#keys[last]!
    cut.logit = logitOfKey(key)
    cut.tokenId = tokenIdOfKey(key)
    this.#count = last + 1
  }

  #grow(): void {
    const keys = new Float64Array(this.#keys.length * 4)
    const weights = new Float64Array(this.#weights.length * 4)
    keys.set(this.#keys)
    weights.set(this.#weights)
    this.#keys = keys
    this.#weights = weights
  }
}

type Need = { readonly count: number } | { readonly mass: number }

/**
 * Index of the last key of the shortest prefix, in descending order of keys[0..count), that has `need`; when all of them
 * fall short, the index of the least key. Reorders keys and weights together: the prefix then stands at 0..result.
 * Keys are distinct. Expected time O(count).
 */
function selectPrefix(keys: Float64Array, weights: Float64Array, count: number, need: Need): number {
  const byCount = 'count' in need
  let missing = byCount ? need.count : need.mass
  let first = 0
  let last = count - 1
  while (first < last) {
    const pivotAt = partition(keys, weights, first, last)
    const before = byCount ? pivotAt - first : sum(weights, first, pivotAt)
    if (before >= missing) last = pivotAt - 1
    else {
      missing -= before + (byCount ? 1 : weights[pivotAt]!)
      if (missing <= 0 || pivotAt === last) return pivotAt
      first = pivotAt + 1
    }
  }
  return first
}

function sum(weights: Float64Array, start: number, end: number): number {
  let total = 0
  for (let i = start; i < end; i++) total += weights[i]!
  return total
}

/** Puts a median-of-three pivot in its place, greater keys before it; returns the place. */
function partition(keys: Float64Array, weights: Float64Array, first: number, last: number): number {
  const middle = (first + last) >>> 1
  if (keys[first]! < keys[middle]!) swap(keys, weights, first, middle)
  if (keys[first]! < keys[last]!) swap(keys, weights, first, last)
  if (keys[middle]! < keys[last]!) swap(keys, weights, middle, last)
  swap(keys, weights, middle, last)
  const pivot = keys[last]!
  let place = first
  for (let i = first; i < last; i++) {
    if (keys[i]! > pivot) {
      swap(keys, weights, i, place)
      place++
    }
  }
  swap(keys, weights, place, last)
  return place
}

function swap(keys: Float64Array, weights: Float64Array, i: number, j: number): void {
  const key = keys[i]!
  keys[i] = keys[j]!
  keys[j] = key
  const weight = weights[i]!
  weights[i] = weights[j]!
  weights[j] = weight
}
