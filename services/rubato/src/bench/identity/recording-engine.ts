// An engine that passes every command on and keeps what each request drew: token, margin and the row it was drawn from.
//
// 1. Requests are told apart by their seed; a request that comes back with emitted tokens goes on where it was.
// 2. Closing it leaves the engine behind it open for the next schedule.
import type { Engine, EngineCommand, EngineResult, EngineShape, StepCommand, StepResult, TokenTree } from '@rubato/model'

export interface DrawnToken {
  readonly tokenId: number
  /** Gap of the best two perturbed logits. */
  readonly margin: number
  /** Raw logits, [vocabSize]. */
  readonly row: Float32Array
}

export class RecordingEngine implements Engine {
  readonly shape: EngineShape
  readonly closed: Promise<Error | null>
  /** Draws by seed, in order. */
  readonly drawn = new Map<number, DrawnToken[]>()
  numSteps = 0
  numAcceptedNodes = 0
  readonly #inner: Engine
  readonly #close: () => void
  readonly #lists = new Map<number, DrawnToken[]>()

  /** `numBlocks`: shows a smaller arena than there is. */
  constructor(inner: Engine, numBlocks = inner.shape.numBlocks) {
    this.#inner = inner
    this.shape = { ...inner.shape, numBlocks: Math.min(numBlocks, inner.shape.numBlocks) }
    const { promise, resolve } = Promise.withResolvers<null>()
    this.closed = Promise.race([promise, inner.closed])
    this.#close = () => resolve(null)
  }

  close(): Promise<void> {
    this.#close()
    return Promise.resolve()
  }

  async execute(command: EngineCommand): Promise<EngineResult> {
    if (command.kind !== 'step') return this.#inner.execute(command)
    for (const { handle, sampling, emittedIds } of command.admit) this.#lists.set(handle, this.#continued(sampling.seed, emittedIds.length))
    const result = await this.#inner.execute({ ...command, returnLogits: true })
    if (result.kind === 'step') this.#record(command, result)
    for (const handle of command.release) this.#lists.delete(handle)
    return result
  }

  #continued(seed: number, numEmitted: number): DrawnToken[] {
    const known = this.drawn.get(seed) ?? []
    if (known.length < numEmitted) throw new Error(`the request with seed ${seed} comes back with ${numEmitted} tokens, ${known.length} were drawn`)
    known.length = numEmitted
    this.drawn.set(seed, known)
    return known
  }

  #record(command: StepCommand, result: StepResult): void {
    this.numSteps++
    const { vocabSize } = this.shape
    const trees = new Map(command.decodes.map(({ handle, tree }) => [handle, tree]))
    for (const [place, { handle, tokenIds, margins }] of result.tokens.entries()) {
      const rows = result.logits?.[place]?.rows
      const list = this.#lists.get(handle)
      if (rows === undefined || margins === undefined || list === undefined) throw new Error('the engine returned no logits')
      this.numAcceptedNodes += tokenIds.length - 1
      let node = -1
      for (const [index, tokenId] of tokenIds.entries()) {
        list.push({ tokenId, margin: margins[index]!, row: rows.slice((node + 1) * vocabSize, (node + 2) * vocabSize) })
        node = childWith(trees.get(handle) ?? null, node, tokenId)
      }
    }
  }
}

/** The child that verification went down to: the first with this token. The root when there is none. */
function childWith(tree: TokenTree | null, parent: number, tokenId: number): number {
  return tree?.tokenIds.findIndex((id, node) => id === tokenId && tree.parents[node] === parent) ?? -1
}
