// One sequence as the engine keeps it: its tokens, how many of them are in KV, its blocks and its sampler.
import { SequenceSampler } from '../sampling/index.ts'
import type { SamplerShape } from '../sampling/index.ts'
import type { SequenceSpec } from './step.ts'

export class EngineSequence {
  readonly handle: number
  readonly sampler: SequenceSampler
  readonly promptTokens: number
  /** Prompt, then everything emitted. */
  readonly tokens: number[]
  readonly blocks: number[] = []
  /** Tokens whose keys and values are in the arena. */
  computedTokens: number
  /** Leading blocks claimed in the arena's residency; the rest are named but not yet placed. */
  claimedBlocks = 0
  /** Set from its first decode on. */
  decoding = false
  /** Its last token ended it. */
  isFinished = false

  constructor(spec: SequenceSpec, shape: SamplerShape) {
    this.handle = spec.handle
    this.sampler = new SequenceSampler(spec.sampling, shape, spec.sequence, spec.promptIds, spec.emittedIds)
    this.promptTokens = spec.promptIds.length
    this.tokens = [...spec.promptIds, ...spec.emittedIds]
    this.computedTokens = spec.kvTokens ?? 0
  }
}
