// Named random streams of one seed: what draws from one never shifts another, so that adding a link or a fault leaves
// the rest of a simulation as it was.

export interface RandomStream {
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform in [low, high). */
  between(low: number, high: number): number
  /** Uniform integer in [0, bound). */
  int(bound: number): number
}

/** FNV-1a over the name, folded into the seed. */
function mixSeed(seed: number, name: string): number {
  let hash = 0x811c9dc5 ^ seed
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return hash | 0
}

/** splitmix32 from a seed and a name: 32 bits of state, no cryptographic strength. */
export function randomStream(seed: number, name: string): RandomStream {
  let state = mixSeed(seed, name)
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 4294967296
  }
  return { next, between: (low, high) => low + (high - low) * next(), int: (bound) => Math.floor(next() * bound) }
}
