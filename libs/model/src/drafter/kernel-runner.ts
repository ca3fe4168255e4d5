// Runs a small draft on the kernels: a level computes its new nodes and nothing twice.
//
// 1. KV of the committed tokens comes first in a sequence's blocks, then that of the last tree: node n behind the root's
//    sequence of length L is token L + n. Nodes never attend to each other but along paths.
// 2. What the target accepted of a tree is moved to where committed tokens belong, not computed again.
import { setImmediate } from 'node:timers/promises'
import { INLINE_LAG } from './draft-runner.ts'
import type { DraftLimits, DraftRunner, Growing, Resident } from './draft-runner.ts'
import { MAX_ROWS } from './decoder/kernel-decoder.ts'
import type { DecoderRow, KernelDecoder } from './decoder/kernel-decoder.ts'
import type { Extent } from './decoder/paged-attention.ts'
import { ROOT } from './tree-grower.ts'
import type { TreeGrower } from './tree-grower.ts'

export interface KernelRunnerParts {
  readonly decoder: KernelDecoder
  readonly blockSize: number
  readonly numBlocks: number
  readonly maxModelLen: number
}

/** The tree in a resident's blocks. */
interface LastTree {
  /** Tokens committed when it was grown. */
  readonly rootTokens: number
  readonly grower: TreeGrower
  /** Nodes whose KV is there: those that something was to grow from. */
  readonly computed: Set<number>
  /** What the root attends to. */
  readonly context: readonly Extent[]
}

export class KernelRunner implements DraftRunner {
  readonly blockSize: number
  readonly numBlocks: number
  readonly maxModelLen: number
  readonly #decoder: KernelDecoder
  readonly #trees = new WeakMap<Resident, LastTree>()

  constructor(parts: KernelRunnerParts) {
    this.blockSize = parts.blockSize
    this.numBlocks = parts.numBlocks
    this.maxModelLen = parts.maxModelLen
    this.#decoder = parts.decoder
  }

  treeTokens({ depth, width }: DraftLimits): number {
    return depth * Math.min(width, MAX_ROWS)
  }

  async catchUp(tokens: readonly number[], resident: Resident): Promise<void> {
    this.#adopt(resident, tokens)
    while (tokens.length - 1 - resident.computedTokens > INLINE_LAG) {
      const rows = this.#chain(resident, tokens, Math.min(tokens.length - 1, resident.computedTokens + MAX_ROWS))
      this.#decoder.run(rows, rows.length)
      resident.computedTokens += rows.length
      await setImmediate()
    }
  }

  growLevel(active: readonly Growing[]): Promise<void> {
    for (let done = 0; done < active.length; ) {
      const silent: DecoderRow[] = []
      const wanted: DecoderRow[] = []
      const group: Growing[] = []
      for (const growing of active.slice(done)) {
        if (group.length > 0 && silent.length + wanted.length + INLINE_LAG + 1 + growing.grower.frontier.length > MAX_ROWS) break
        const rows = growing.grower.tokenIds.length === 0 ? this.#rootRows(growing) : this.#nodeRows(growing)
        silent.push(...rows.splice(0, rows.length - growing.grower.frontier.length))
        wanted.push(...rows)
        group.push(growing)
      }
      this.#decoder.run([...silent, ...wanted], silent.length)
      let row = silent.length
      for (const { grower, limits } of group) {
        const first = row
        const { frontier } = grower
        row += frontier.length
        grower.grow((node) => this.#decoder.logits(first + frontier.indexOf(node)), { ...limits, width: Math.min(limits.width, MAX_ROWS) })
      }
      done += group.length
    }
    return Promise.resolve()
  }

  /** Lagging tokens and the root. */
  #rootRows({ request: { tokens }, resident, grower }: Growing): DecoderRow[] {
    const rows = this.#chain(resident, tokens, tokens.length)
    resident.computedTokens = tokens.length
    this.#trees.set(resident, { rootTokens: tokens.length, grower, computed: new Set(), context: rows.at(-1)!.extents })
    return rows
  }

  #nodeRows({ resident, grower }: Growing): DecoderRow[] {
    const { rootTokens, computed, context } = this.#trees.get(resident)!
    return grower.frontier.map((node) => {
      const path: Extent[] = []
      for (let at = node; at !== ROOT; at = grower.parents[at]!) path.push({ place: this.#place(resident, rootTokens + at), count: 1 })
      computed.add(node)
      return { tokenId: grower.tokenIds[node]!, position: rootTokens - 1 + path.length, place: path[0]!.place, extents: [...context, ...path] }
    })
  }

  /** Committed tokens that are not in KV, up to the `end`th. */
  #chain(resident: Resident, tokens: readonly number[], end: number): DecoderRow[] {
    const rows: DecoderRow[] = []
    for (let position = resident.computedTokens; position < end; position += 1) {
      rows.push({ tokenId: tokens[position]!, position, place: this.#place(resident, position), extents: this.#extents(resident, position + 1) })
    }
    return rows
  }

  /** The first `count` tokens of a sequence. */
  #extents({ blocks }: Resident, count: number): Extent[] {
    const extents: Extent[] = []
    for (let from = 0; from < count; from += this.blockSize) {
      extents.push({ place: this.#decoder.kv.placeOf(blocks[from / this.blockSize]!, 0), count: Math.min(this.blockSize, count - from) })
    }
    return extents
  }

  #place({ blocks }: Resident, token: number): number {
    return this.#decoder.kv.placeOf(blocks[Math.floor(token / this.blockSize)]!, token % this.blockSize)
  }

  /** Takes over the nodes of the last tree that were committed since. The last committed token is left to be computed: its logits are wanted. */
  #adopt(resident: Resident, tokens: readonly number[]): void {
    const tree = this.#trees.get(resident)
    this.#trees.delete(resident)
    const nodes = tree?.rootTokens === resident.computedTokens ? pathOf(tree, tokens) : []
    for (const node of nodes) {
      this.#decoder.kv.move(this.#place(resident, tree!.rootTokens + node), this.#place(resident, resident.computedTokens))
      resident.computedTokens += 1
    }
    resident.computedTokens = Math.min(resident.computedTokens, tokens.length - 1)
  }
}

/** Computed nodes of a tree that carry the tokens behind its root, from the root down. A node's index is no less than its depth below the first: moves never overwrite what is still to be moved. */
function pathOf({ rootTokens, grower, computed }: LastTree, tokens: readonly number[]): number[] {
  const path: number[] = []
  for (const tokenId of tokens.slice(rootTokens)) {
    const parent = path.at(-1) ?? ROOT
    const next = grower.tokenIds.findIndex((candidate, node) => candidate === tokenId && grower.parents[node] === parent && computed.has(node))
    if (next < 0) break
    path.push(next)
  }
  return path
}
