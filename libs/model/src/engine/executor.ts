// Executes step commands: the only code that writes the arena. Single-threaded; one command at a time.
//
// 1. A prompt cell is a run of its own over gathered blocks, so its shape, and with it every bit of its result, depends on
//    nothing but its own tokens.
// 2. Decodes run together, bucketed by new tokens per sequence; rows of one run never influence each other's bits.
// 3. Keys and values are written after a run, for accepted tokens only: a rejected draft leaves no trace.
import { RubatoError } from '@rubato/config'
import { runBucket } from '@rubato/policy'
import { verifyTree } from '../sampling/index.ts'
import type { SamplerShape, VerifiedTokens } from '../sampling/index.ts'
import type { Arena, NewTokens } from './arena.ts'
import type { StepDrafting } from './drafting.ts'
import { Residency } from './residency.ts'
import type { Run, RunInputs, RunRequest } from './run-inputs.ts'
import { EngineSequence } from './sequence.ts'
import type { Feeds, RunOutputs } from './session.ts'
import type { Cell, Decode, EngineCommand, EngineResult, StepCommand, StepResult, StepTokens } from './step.ts'
import { treeDepths } from './token-tree.ts'

export interface ExecutorShape extends SamplerShape {
  readonly maxModelLen: number
}

export interface ExecutorParts {
  readonly shape: ExecutorShape
  readonly arena: Arena
  readonly inputs: RunInputs
  readonly run: (feeds: Feeds) => Promise<RunOutputs>
  /** Milliseconds of a monotonic clock, and of CPU time of this thread. */
  readonly wallMs: () => number
  readonly cpuMs: () => number
  /** null: it has no draft model. @default null */
  readonly drafting?: StepDrafting | null
}

interface StepOutput {
  readonly tokens: StepTokens[]
  readonly logits: { handle: number; rows: Float32Array }[] | null
  runMs: number
  runCpuMs: number
}

/** One decode's part of a run's results. */
interface DecodeRows {
  readonly sequence: EngineSequence
  readonly decode: Decode
  /** [1 + tree nodes, vocab]. */
  readonly rows: Float32Array
  readonly newTokens: NewTokens
}

export class StepExecutor {
  readonly #parts: ExecutorParts
  readonly #residency: Residency
  readonly #sequences = new Map<number, EngineSequence>()

  constructor(parts: ExecutorParts) {
    this.#parts = parts
    this.#residency = new Residency(parts.arena)
  }

  async execute(command: EngineCommand): Promise<EngineResult> {
    switch (command.kind) {
      case 'step':
        return this.#step(command)
      case 'export-blocks':
        return { kind: 'export-blocks', bytes: this.#parts.arena.exportBlocks(command.blockIds) }
      case 'install-blocks':
        this.#parts.arena.installBlocks(command.blockIds, command.bytes)
        for (const block of command.blockIds) this.#residency.markWritten(block)
        return { kind: 'install-blocks' }
      case 'reset':
        for (const handle of this.#sequences.keys()) this.#release(handle)
        return { kind: 'reset' }
    }
  }

  async #step(command: StepCommand): Promise<StepResult> {
    const { wallMs, cpuMs } = this.#parts
    const startMs = wallMs()
    const startCpuMs = cpuMs()
    const output: StepOutput = { tokens: [], logits: command.returnLogits === true ? [] : null, runMs: 0, runCpuMs: 0 }
    for (const spec of command.admit) {
      if (this.#sequences.has(spec.handle)) throw new RubatoError('engine_command', `sequence ${spec.handle} is already admitted`)
      this.#sequences.set(spec.handle, new EngineSequence(spec, this.#parts.shape))
    }
    for (const { handle, blockIds } of command.appendBlocks) this.#sequence(handle).blocks.push(...blockIds)
    for (const { from, to } of command.copyBlocks) {
      this.#parts.arena.copyBlock(from, to)
      this.#residency.markWritten(to)
    }
    for (const cell of command.cells) await this.#runCell(cell, output)
    for (const bucket of decodeBuckets(command.decodes)) await this.#runDecodes(bucket, output)
    for (const handle of command.release) this.#release(handle)
    const times = { stepMs: wallMs() - startMs, runMs: output.runMs, cpuMs: cpuMs() - startCpuMs, runCpuMs: output.runCpuMs }
    const drafts = command.draft === undefined ? null : await this.#parts.drafting?.draft(command.draft, (handle) => this.#sequences.get(handle))
    return {
      kind: 'step',
      stepId: command.stepId,
      tokens: output.tokens,
      ...times,
      ...(drafts === null || drafts === undefined ? {} : { drafts }),
      ...(output.logits === null ? {} : { logits: output.logits }),
    }
  }

  #sequence(handle: number): EngineSequence {
    const sequence = this.#sequences.get(handle)
    if (sequence === undefined) throw new RubatoError('engine_command', `sequence ${handle} is not admitted`)
    return sequence
  }

  /** Claims the blocks that hold tokens up to `numTokens`; those at or past `freshFrom` tokens are about to be written. */
  #claim(sequence: EngineSequence, numTokens: number, freshFrom: number): void {
    const { blockSize } = this.#parts.arena.shape
    const needed = Math.ceil(numTokens / blockSize)
    if (needed > sequence.blocks.length) throw new RubatoError('engine_command', `sequence ${sequence.handle} has ${sequence.blocks.length} blocks, needs ${needed}`)
    for (; sequence.claimedBlocks < needed; sequence.claimedBlocks++) {
      const block = sequence.blocks[sequence.claimedBlocks]!
      this.#residency.claim(block, sequence.claimedBlocks * blockSize >= freshFrom)
      if (sequence.decoding) this.#residency.activate(block)
    }
  }

  #startDecoding(sequence: EngineSequence): void {
    if (sequence.decoding) return
    // A further choice of a request shares the prompt that its first one computed.
    if (sequence.computedTokens === 0) sequence.computedTokens = sequence.promptTokens
    this.#claim(sequence, sequence.computedTokens, sequence.computedTokens)
    for (let place = 0; place < sequence.claimedBlocks; place++) this.#residency.activate(sequence.blocks[place]!)
    sequence.decoding = true
  }

  #release(handle: number): void {
    const sequence = this.#sequence(handle)
    for (let place = 0; place < sequence.claimedBlocks; place++) this.#residency.release(sequence.blocks[place]!, sequence.decoding)
    this.#sequences.delete(handle)
    this.#parts.drafting?.forget(handle)
  }

  /** Logits of the run, and where its first request's new tokens are. */
  async #run(wanted: Run, output: StepOutput): Promise<{ readonly logits: Float32Array; readonly newTokens: NewTokens }> {
    const { inputs, run, wallMs, cpuMs } = this.#parts
    const { feeds, numRequests, width } = inputs.build(wanted)
    const startMs = wallMs()
    const startCpuMs = cpuMs()
    const { logits, newKv } = await run(feeds)
    output.runMs += wallMs() - startMs
    output.runCpuMs += cpuMs() - startCpuMs
    return { logits, newTokens: { rows: newKv, request: 0, numRequests, width, from: 0 } }
  }

  async #runCell(cell: Cell, output: StepOutput): Promise<void> {
    const sequence = this.#sequence(cell.handle)
    const { start, count } = cell
    this.#claim(sequence, start + count, start)
    const tokenIds = sequence.tokens.slice(start, start + count)
    const requests = [{ blocks: sequence.blocks, contextTokens: start, tokenIds, parents: null }]
    const { logits, newTokens } = await this.#run({ kind: cell.sampleHandles.length === 0 ? 'cell' : 'last-cell', requests }, output)
    this.#writeChain(sequence, start, count, newTokens)
    sequence.computedTokens = start + count
    for (const handle of cell.sampleHandles) {
      const sampling = this.#sequence(handle)
      sampling.computedTokens = start + count
      this.#emit(sampling, verifyTree(sampling.sampler, null, logits, sampling.sampler.nextPosition, this.#parts.shape.maxModelLen), output)
      output.logits?.push({ handle, rows: logits })
    }
  }

  /** Writes consecutive new tokens, split at block borders. */
  #writeChain(sequence: EngineSequence, start: number, count: number, source: NewTokens): void {
    const { blockSize } = this.#parts.arena.shape
    for (let done = 0; done < count; ) {
      const at = start + done
      const length = Math.min(count - done, blockSize - (at % blockSize))
      this.#parts.arena.writeTokens(sequence.blocks[Math.floor(at / blockSize)]!, at % blockSize, length, { ...source, from: source.from + done })
      done += length
    }
  }

  async #runDecodes(decodes: readonly Decode[], output: StepOutput): Promise<void> {
    const sequences = decodes.map(({ handle }) => this.#sequence(handle))
    for (const [index, sequence] of sequences.entries()) {
      this.#startDecoding(sequence)
      const room = sequence.computedTokens + 1 + mostAccepted(decodes[index]!)
      this.#claim(sequence, Math.min(room, this.#parts.shape.maxModelLen), sequence.computedTokens)
    }
    const requests = decodes.map((decode, index) => toRequest(decode, sequences[index]!))
    this.#residency.settle(this.#decoding())
    const { logits, newTokens } = await this.#run({ kind: 'decodes', requests }, output)
    let at = 0
    for (const [request, decode] of decodes.entries()) {
      const rows = logits.subarray(at, (at += requests[request]!.tokenIds.length * this.#parts.shape.vocabSize))
      this.#commitDecode({ sequence: sequences[request]!, decode, rows, newTokens: { ...newTokens, request } }, output)
    }
  }

  #commitDecode({ sequence, decode, rows, newTokens }: DecodeRows, output: StepOutput): void {
    const at = sequence.computedTokens
    this.#writeChain(sequence, at, 1, newTokens)
    sequence.computedTokens = at + 1
    if (decode.forced) return
    const verified = verifyTree(sequence.sampler, decode.tree, rows, sequence.sampler.nextPosition, this.#parts.shape.maxModelLen)
    for (const node of verified.acceptedNodes) {
      this.#writeChain(sequence, sequence.computedTokens, 1, { ...newTokens, from: node + 1 })
      sequence.computedTokens++
    }
    this.#emit(sequence, verified, output)
    output.logits?.push({ handle: sequence.handle, rows: rows.slice() })
  }

  #emit(sequence: EngineSequence, verified: VerifiedTokens, output: StepOutput): void {
    for (const token of verified.tokenIds) sequence.tokens.push(token)
    const { finish } = verified
    sequence.isFinished = finish !== null
    output.tokens.push({
      handle: sequence.handle,
      tokenIds: verified.tokenIds,
      logprobs: verified.logprobs,
      finish: finish?.kind ?? null,
      stopTokenId: finish?.kind === 'stop' ? finish.stopTokenId : null,
      ...(output.logits === null ? {} : { margins: verified.margins }),
    })
  }

  *#decoding(): Iterable<EngineSequence> {
    for (const sequence of this.#sequences.values()) if (sequence.decoding) yield sequence
  }

  /** Throws unless the arena's map is sound. For tests and idle times. */
  assertIntegrity(): void {
    this.#parts.arena.assertIntegrity()
  }
}

function toRequest(decode: Decode, sequence: EngineSequence): RunRequest {
  const token = sequence.tokens[sequence.computedTokens]
  if (token === undefined) throw new RubatoError('engine_command', `sequence ${decode.handle} has no token left to decode`)
  const { tree } = decode
  const tokenIds = tree === null ? [token] : [token, ...tree.tokenIds]
  return { blocks: sequence.blocks, contextTokens: sequence.computedTokens, tokenIds, parents: tree === null || tree.tokenIds.length === 0 ? null : tree.parents }
}

/** Most draft tokens that a decode can accept: the depth of its tree. */
function mostAccepted({ tree }: Decode): number {
  return tree === null ? 0 : treeDepths(tree.parents).reduce((deepest, depth) => Math.max(deepest, depth), 0)
}

/** One run per bucket of new tokens per sequence: plain decodes, and trees of about one size. */
function decodeBuckets(decodes: readonly Decode[]): Decode[][] {
  const buckets = new Map<number, Decode[]>()
  for (const decode of decodes) {
    const width = 1 + (decode.tree?.tokenIds.length ?? 0)
    const bucket = runBucket(width)
    const list = buckets.get(bucket)
    if (list === undefined) buckets.set(bucket, [decode])
    else list.push(decode)
  }
  return [...buckets.values()]
}
