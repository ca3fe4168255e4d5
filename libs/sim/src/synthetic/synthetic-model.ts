// What the synthetic engine computes, apart from how long it takes: commands in, results out, at once.
//
// 1. Tokens depend on seed, choice and every token before, never on the schedule: syntheticTokens gives the same.
// 2. A sequence that begins behind its start finds the digests of its own tokens in all full blocks before, or the engine dies.
// 3. It checks what a transport or a scheduler can get wrong (tables, installed blocks, positions), not a batching policy.
import type { Cell, Decode, EngineCommand, EngineResult, EngineShape, SequenceSpec, StepCommand, StepFinish, StepResult, StepTokens } from '@rubato/model'
import { SyntheticArena } from './synthetic-arena.ts'
import { EMPTY_CONTEXT, mixDigest, pickToken } from './token-rule.ts'

interface LiveSequence {
  readonly spec: SequenceSpec
  readonly emitted: number[]
  readonly table: number[]
  /** Tokens whose KV is written. */
  kvTokens: number
  /** Of the first kvTokens tokens, once it is known. */
  digest: number | null
  finish: StepFinish | null
}

export interface SyntheticModelOptions {
  /** A prompt that holds this token kills the engine. @default none */
  readonly poisonTokenId?: number | null
}

export class SyntheticModel {
  readonly shape: EngineShape
  readonly #arena: SyntheticArena
  readonly #poisonTokenId: number | null
  readonly #live = new Map<number, LiveSequence>()

  constructor(shape: EngineShape, { poisonTokenId = null }: SyntheticModelOptions = {}) {
    this.shape = shape
    this.#arena = new SyntheticArena(shape.numBlocks, shape.blockBytes)
    this.#poisonTokenId = poisonTokenId
  }

  get numLive(): number {
    return this.#live.size
  }

  /** Tokens of a live sequence, prompt and emitted; 0 for an unknown handle. */
  contextTokens(handle: number): number {
    const sequence = this.#live.get(handle)
    return sequence === undefined ? 0 : sequence.spec.promptIds.length + sequence.emitted.length
  }

  /** Performs one command. A throw is the engine's death. */
  apply(command: EngineCommand): EngineResult {
    switch (command.kind) {
      case 'step':
        return this.#step(command)
      case 'export-blocks':
        return { kind: 'export-blocks', bytes: this.#arena.export(command.blockIds) }
      case 'install-blocks':
        this.#arena.install(command.blockIds, command.bytes)
        return { kind: 'install-blocks' }
      case 'reset':
        this.#live.clear()
        return { kind: 'reset' }
    }
  }

  #step(command: StepCommand): StepResult {
    for (const spec of command.admit) this.#admit(spec)
    for (const { handle, blockIds } of command.appendBlocks) this.#append(this.#get(handle), blockIds)
    for (const { from, to } of command.copyBlocks) this.#arena.copy(from, to)
    const tokens: StepTokens[] = []
    for (const cell of command.cells) this.#runCell(cell, tokens)
    for (const decode of command.decodes) {
      if (decode.forced) this.#replay(decode)
      else tokens.push(this.#runDecode(decode))
    }
    for (const handle of command.release) this.#live.delete(handle)
    return { kind: 'step', stepId: command.stepId, tokens, stepMs: 0, runMs: 0, cpuMs: 0, runCpuMs: 0 }
  }

  #admit(spec: SequenceSpec): void {
    if (this.#live.has(spec.handle)) throw new Error(`engine: handle ${spec.handle} is admitted twice`)
    if (this.#poisonTokenId !== null && spec.promptIds.includes(this.#poisonTokenId)) throw new Error(`engine: token ${this.#poisonTokenId} is poison`)
    this.#live.set(spec.handle, { spec, emitted: [...spec.emittedIds], table: [], kvTokens: spec.kvTokens ?? spec.promptIds.length, digest: null, finish: null })
  }

  #append({ table }: LiveSequence, blockIds: readonly number[]): void {
    for (const blockId of blockIds) {
      if (!this.#arena.has(blockId)) throw new Error(`engine: there is no block ${blockId}`)
      table.push(blockId)
    }
  }

  #runCell({ handle, start, count, sampleHandles }: Cell, tokens: StepTokens[]): void {
    const sequence = this.#get(handle)
    if (sequence.digest === null) this.#begin(sequence, start)
    else if (sequence.kvTokens !== start) throw new Error(`engine: the cell at ${start} of handle ${handle} does not start where its KV ends (${sequence.kvTokens})`)
    for (let position = start; position < start + count; position++) this.#write(sequence)
    for (const sampled of sampleHandles) tokens.push(this.#sample(this.#get(sampled), sequence.digest!))
  }

  #runDecode({ handle, tree }: Decode): StepTokens {
    const sequence = this.#get(handle)
    this.#replay({ handle })
    const first = this.#sample(sequence, sequence.digest!)
    if (tree === null) return first
    const tokenIds = [...first.tokenIds]
    let last = first
    let node = -1
    while (sequence.finish === null) {
      node = tree.parents.findIndex((parent, child) => parent === node && tree.tokenIds[child] === tokenIds.at(-1))
      if (node < 0) break
      this.#write(sequence)
      last = this.#sample(sequence, sequence.digest!)
      tokenIds.push(...last.tokenIds)
    }
    return { ...last, tokenIds, logprobs: logprobsOf(sequence.spec, tokenIds) }
  }

  /** Writes the KV of the next token. */
  #replay({ handle }: Pick<Decode, 'handle'>): void {
    const sequence = this.#get(handle)
    if (sequence.finish !== null) throw new Error(`engine: handle ${handle} is decoded after its end`)
    if (sequence.digest === null) this.#begin(sequence, sequence.kvTokens)
    this.#write(sequence)
  }

  /** The sequence's own work begins at this token: what lies before must be there already. */
  #begin(sequence: LiveSequence, start: number): void {
    const { blockSize } = this.shape
    let digest = EMPTY_CONTEXT
    for (let position = 0; position < start; position++) {
      digest = mixDigest(digest, tokenAt(sequence, position))
      if ((position + 1) % blockSize !== 0) continue
      const blockId = this.#blockAt(sequence, position)
      if (!this.#arena.holds(blockId, digest)) throw new Error(`engine: block ${blockId} does not hold tokens ${position + 1 - blockSize} to ${position} of handle ${sequence.spec.handle}`)
    }
    sequence.kvTokens = start
    sequence.digest = digest
  }

  #write(sequence: LiveSequence): void {
    const { blockSize } = this.shape
    const position = sequence.kvTokens
    const blockId = this.#blockAt(sequence, position)
    const digest = mixDigest(sequence.digest!, tokenAt(sequence, position))
    if (position % blockSize === 0) this.#arena.begin(blockId)
    if ((position + 1) % blockSize === 0) this.#arena.fill(blockId, digest)
    sequence.digest = digest
    sequence.kvTokens = position + 1
  }

  #sample(sequence: LiveSequence, contextDigest: number): StepTokens {
    const { spec, emitted } = sequence
    const { tokenId, finish } = pickToken(spec, emitted.length, contextDigest, this.shape)
    emitted.push(tokenId)
    sequence.finish = finish
    const tokenIds = [tokenId]
    return { handle: spec.handle, tokenIds, logprobs: logprobsOf(spec, tokenIds), finish, stopTokenId: finish === 'stop' ? tokenId : null }
  }

  #blockAt({ table, spec }: LiveSequence, position: number): number {
    const blockId = table[Math.floor(position / this.shape.blockSize)]
    if (blockId === undefined) throw new Error(`engine: handle ${spec.handle} has no block for token ${position}`)
    return blockId
  }

  #get(handle: number): LiveSequence {
    const sequence = this.#live.get(handle)
    if (sequence === undefined) throw new Error(`engine: handle ${handle} is not admitted`)
    return sequence
  }
}

function tokenAt({ spec, emitted }: LiveSequence, position: number): number {
  const promptLen = spec.promptIds.length
  const tokenId = position < promptLen ? spec.promptIds[position] : emitted[position - promptLen]
  if (tokenId === undefined) throw new Error(`engine: handle ${spec.handle} has no token ${position}`)
  return tokenId
}

function logprobsOf({ sampling }: SequenceSpec, tokenIds: readonly number[]): StepTokens['logprobs'] {
  return sampling.logprobs === null ? null : tokenIds.map((tokenId) => ({ tokenId, logprob: -1, rank: 1, top: [] }))
}
