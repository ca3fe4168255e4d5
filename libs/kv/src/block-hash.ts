// Names of block contents: a hash chain over full blocks, so that equal hashes mean equal token prefixes.

/** Hashes one full block of tokens behind `parent`. Injected: this package has no cryptography of its own. */
export type HashBlock = (parent: string, tokenIds: readonly number[]) => string

/**
 * Hashes of the full blocks of `tokenIds`, first block first; a partial last block has none.
 * `root` stands for everything else that must agree (fingerprint, encoding, cache salt).
 */
export function hashChain(root: string, tokenIds: readonly number[], blockSize: number, hashBlock: HashBlock): string[] {
  const hashes: string[] = []
  let parent = root
  for (let end = blockSize; end <= tokenIds.length; end += blockSize) {
    parent = hashBlock(parent, tokenIds.slice(end - blockSize, end))
    hashes.push(parent)
  }
  return hashes
}
