// A deterministic engine without a model: tokens are hashes of the KV contents it reads through its own block tables.
// Wrong tables, missing copies and overwritten or unwritten blocks therefore give wrong tokens or throw.
//
// 1. A handle without cells of its own starts behind its prompt (the choices of n > 1).
// 2. Nobody writes a block that two live tables hold.
// 3. Prompt cells are exactly [k * C, min((k + 1) * C, promptLen)).
import type { Cell, Decode, DraftWish, EngineCommand, EngineResult, EngineShape, SequenceSpec, StepCommand, StepDrafts, StepFinish, StepResult, StepTokens } from '@rubato/model'
import { MemoryArena, digestOfTokens } from './memory-arena.ts'
import { memoryDraft } from './memory-drafts.ts'
import type { MemoryDraftOptions } from './memory-drafts.ts'
import { mixHash, sampleToken } from './token-rule.ts'

interface LiveSequence {
  readonly spec: SequenceSpec
  /** Prompt and everything emitted. */
  readonly tokenIds: number[]
  readonly table: number[]
  /** null until a cell or a sample placed it. */
  kvTokens: number | null
  finish: StepFinish | null
}

export interface MemoryEngineOptions {
  /** Time each step reports; 1 ms unless told. */
  readonly stepMs?: (command: StepCommand) => number
  /** What its draft model guesses, and how often right. @default it has none */
  readonly drafts?: MemoryDraftOptions | null
  /** Its draft model fails at the first request for drafts. @default false */
  readonly draftFails?: boolean
}

/** Pure state: `apply` performs one command at once. Throws on anything a real engine could not do. */
export class MemoryEngine {
  readonly shape: EngineShape
  readonly #options: MemoryEngineOptions
  readonly #stepMs: (command: StepCommand) => number
  readonly #arena: MemoryArena
  readonly #live = new Map<number, LiveSequence>()
  /** Live tables that hold each block. */
  readonly #numTables: Int32Array

  constructor(shape: EngineShape, options: MemoryEngineOptions = {}) {
    this.#options = options
    this.shape = { ...shape, canDraft: (options.drafts ?? null) !== null || options.draftFails === true }
    this.#stepMs = options.stepMs ?? (() => 1)
    this.#arena = new MemoryArena(shape.numBlocks, shape.blockSize)
    this.#numTables = new Int32Array(shape.numBlocks)
  }

  get numLive(): number {
    return this.#live.size
  }

  apply(command: EngineCommand): EngineResult {
    switch (command.kind) {
      case 'step':
        return this.#step(command)
      case 'export-blocks':
        return { kind: 'export-blocks', bytes: this.#arena.export(command.blockIds) }
      case 'install-blocks':
        for (const blockId of command.blockIds) if (this.#numTables[blockId] !== 0) throw new Error(`engine: block ${blockId} is installed while a table holds it`)
        this.#arena.install(command.blockIds, command.bytes)
        return { kind: 'install-blocks' }
      case 'reset':
        this.#live.clear()
        this.#numTables.fill(0)
        return { kind: 'reset' }
    }
  }

  #step(command: StepCommand): StepResult {
    for (const spec of command.admit) this.#admit(spec)
    for (const { handle, blockIds } of command.appendBlocks) this.#append(this.#get(handle), blockIds)
    for (const { from, to } of command.copyBlocks) this.#arena.copy(from, to)
    const tokens = [...command.cells.flatMap((cell) => this.#runCell(cell)), ...command.decodes.flatMap((decode) => this.#runDecode(decode))]
    for (const handle of command.release) {
      for (const blockId of this.#get(handle).table) this.#numTables[blockId]!--
      this.#live.delete(handle)
    }
    const stepMs = this.#stepMs(command)
    const drafts = command.draft === undefined || this.shape.canDraft !== true ? {} : { drafts: this.#draft(command.draft) }
    return { kind: 'step', stepId: command.stepId, tokens, stepMs, runMs: stepMs, cpuMs: stepMs, runCpuMs: stepMs, ...drafts }
  }

  #draft(wish: DraftWish): StepDrafts {
    const { drafts = null, draftFails = false } = this.#options
    if (drafts === null || draftFails) return { trees: [], draftMs: 0, draftCpuMs: 0, problem: 'the draft model failed' }
    const trees = wish.handles.flatMap((handle) => {
      const sequence = this.#live.get(handle)
      if (sequence === undefined || sequence.finish !== null || (sequence.kvTokens ?? sequence.spec.promptIds.length) !== sequence.tokenIds.length - 1) return []
      const tree = memoryDraft(wish, drafts, mixHash(handle, sequence.tokenIds.length), (path) => this.#nextToken(sequence, path))
      return tree.tokenIds.length === 0 ? [] : [{ handle, tree }]
    })
    return { trees, draftMs: 0.1 * wish.depth, draftCpuMs: 0.1 * wish.depth, problem: null }
  }

  /** What it would draw after its tokens and this path; null: it would have ended, or nothing may come after. */
  #nextToken({ spec, tokenIds }: LiveSequence, path: readonly number[]): number | null {
    const context = [...tokenIds, ...path]
    const numEmitted = context.length - spec.promptIds.length
    if (numEmitted + 1 >= spec.sampling.maxTokens) return null
    const question = { sampling: spec.sampling, sequence: spec.sequence, numEmitted, contextTokens: context.length, contextDigest: digestOfTokens(context, this.shape.blockSize) }
    const last = path.at(-1)
    const isOver = last !== undefined && numEmitted > spec.sampling.minTokens && (spec.sampling.stopTokenIds.includes(last) || (!spec.sampling.ignoreEos && this.shape.eosTokenIds.includes(last)))
    return isOver ? null : sampleToken(question, this.shape).tokenId
  }

  #admit(spec: SequenceSpec): void {
    if (this.#live.has(spec.handle)) throw new Error(`engine: handle ${spec.handle} is admitted twice`)
    this.#live.set(spec.handle, { spec, tokenIds: [...spec.promptIds, ...spec.emittedIds], table: [], kvTokens: spec.kvTokens ?? null, finish: null })
  }

  #append(sequence: LiveSequence, blockIds: readonly number[]): void {
    for (const blockId of blockIds) {
      if (!(blockId >= 0 && blockId < this.shape.numBlocks)) throw new Error(`engine: there is no block ${blockId}`)
      if (sequence.table.includes(blockId)) throw new Error(`engine: block ${blockId} is twice in the table of handle ${sequence.spec.handle}`)
      this.#numTables[blockId]!++
      sequence.table.push(blockId)
    }
  }

  #runCell(cell: Cell): StepTokens[] {
    const sequence = this.#get(cell.handle)
    this.#checkCell(cell, sequence)
    for (let position = cell.start; position < cell.start + cell.count; position++) this.#write(sequence, position)
    sequence.kvTokens = cell.start + cell.count
    return cell.sampleHandles.map((handle) => {
      const sampled = this.#get(handle)
      sampled.kvTokens = cell.start + cell.count
      if (sampled.tokenIds.length !== sampled.kvTokens) throw new Error(`engine: handle ${handle} samples from a cell that is not its last`)
      // The row is the cell's own: a choice reads its own table only from its first decode on.
      const digest = this.#arena.digest(sequence.table, sampled.kvTokens)
      return this.#result(sampled, [this.#sample(sampled, digest)])
    })
  }

  #checkCell(cell: Cell, { spec, tokenIds, kvTokens }: LiveSequence): void {
    const promptLen = spec.promptIds.length
    const { cellTokens } = this.shape
    const fail = (what: string): never => {
      throw new Error(`engine: cell [${cell.start}, ${cell.start + cell.count}) of handle ${cell.handle} ${what}`)
    }
    if (kvTokens !== null && cell.start !== kvTokens) fail(`does not start where its KV ends (${kvTokens})`)
    if (cell.start < promptLen && cell.start % cellTokens !== 0) fail('does not start at a multiple of C')
    if (cell.start < promptLen && cell.count !== Math.min(cellTokens, promptLen - cell.start)) fail('is not a whole cell')
    if (cell.start > promptLen && kvTokens === null) fail('leaves a gap behind the prompt')
    if (cell.start >= promptLen && cell.start + cell.count > tokenIds.length - 1) fail('covers the last emitted token')
    if (cell.count < 1 || cell.count > cellTokens) fail('has a wrong size')
  }

  #runDecode(decode: Decode): StepTokens[] {
    const sequence = this.#get(decode.handle)
    const { tokenIds } = sequence
    const kvTokens = sequence.kvTokens ?? sequence.spec.promptIds.length
    if (sequence.finish !== null) throw new Error(`engine: handle ${decode.handle} is decoded after its end`)
    if (decode.forced ? kvTokens >= tokenIds.length - 1 : kvTokens !== tokenIds.length - 1) {
      throw new Error(`engine: decode (forced ${decode.forced}) of handle ${decode.handle} with ${kvTokens} of ${tokenIds.length} tokens in KV`)
    }
    this.#write(sequence, kvTokens)
    sequence.kvTokens = kvTokens + 1
    if (decode.forced) return []
    return [this.#result(sequence, this.#verify(sequence, decode))]
  }

  /** Samples, and goes on down the tree for as long as its nodes guess what was sampled. */
  #verify(sequence: LiveSequence, { tree }: Decode): number[] {
    const sampled = [this.#sampleNext(sequence)]
    let node = -1
    while (tree !== null && sequence.finish === null) {
      node = tree.parents.findIndex((parent, child) => parent === node && tree.tokenIds[child] === sampled.at(-1))
      if (node < 0) break
      this.#write(sequence, sequence.kvTokens!)
      sequence.kvTokens!++
      sampled.push(this.#sampleNext(sequence))
    }
    return sampled
  }

  #sampleNext(sequence: LiveSequence): number {
    return this.#sample(sequence, this.#arena.digest(sequence.table, sequence.kvTokens!))
  }

  #sample(sequence: LiveSequence, contextDigest: number): number {
    const { spec, tokenIds } = sequence
    const numEmitted = tokenIds.length - spec.promptIds.length
    const question = { sampling: spec.sampling, sequence: spec.sequence, numEmitted, contextTokens: tokenIds.length, contextDigest }
    const { tokenId, finish } = sampleToken(question, this.shape)
    tokenIds.push(tokenId)
    sequence.finish = finish
    return tokenId
  }

  #result({ spec, finish }: LiveSequence, sampled: readonly number[]): StepTokens {
    return {
      handle: spec.handle,
      tokenIds: sampled,
      logprobs: spec.sampling.logprobs === null ? null : sampled.map((tokenId) => ({ tokenId, logprob: -1, rank: 1, top: [] })),
      finish,
      stopTokenId: finish === 'stop' ? sampled.at(-1)! : null,
    }
  }

  #write(sequence: LiveSequence, position: number): void {
    const blockId = sequence.table[Math.floor(position / this.shape.blockSize)]
    if (blockId === undefined) throw new Error(`engine: handle ${sequence.spec.handle} has no block for token ${position}`)
    if (this.#numTables[blockId] !== 1) throw new Error(`engine: handle ${sequence.spec.handle} writes block ${blockId}, which ${this.#numTables[blockId]} tables hold`)
    this.#arena.write(blockId, position % this.shape.blockSize, sequence.tokenIds[position]!)
  }

  #get(handle: number): LiveSequence {
    const sequence = this.#live.get(handle)
    if (sequence === undefined) throw new Error(`engine: handle ${handle} is not admitted`)
    return sequence
  }
}

/** All tokens the engine emits for a choice when every block is right, computed without blocks. */
export function referenceTokens(spec: Pick<SequenceSpec, 'promptIds' | 'sequence' | 'sampling'>, shape: EngineShape): readonly number[] {
  const tokenIds = [...spec.promptIds]
  for (;;) {
    const numEmitted = tokenIds.length - spec.promptIds.length
    const contextDigest = digestOfTokens(tokenIds, shape.blockSize)
    const { tokenId, finish } = sampleToken({ ...spec, numEmitted, contextTokens: tokenIds.length, contextDigest }, shape)
    tokenIds.push(tokenId)
    if (finish !== null) return tokenIds.slice(spec.promptIds.length)
  }
}
