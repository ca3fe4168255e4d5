// Speculators in virtual time: the real actor over a draft model that knows what the memory engine will draw, as far as the dice let it.
//
// 1. What it was told of a sequence must be what the target emitted: a wrong token, a gap or another order throws.
import assert from 'node:assert/strict'
import { done } from '@rubato/actor'
import type { EffectPort, EffectTable, Scheduler } from '@rubato/actor'
import type { EngineShape } from '@rubato/model'
import type { DraftCommand, DraftOutcome, DraftRun, DraftRunEffect } from '@rubato/service-speculator'
import type { RandomStream } from '@rubato/sim'
import { referenceTokens } from '@rubato/testing'

export interface VirtualDraftModelOptions {
  readonly scheduler: Scheduler
  readonly random: RandomStream
  readonly shape: EngineShape
  /** Probability that a guess is right. */
  readonly goodRatio: number
  /** Time of a run, and of each token of a level or of KV computed ahead. */
  readonly runMs: number
  readonly tokenMs: number
}

interface Told {
  readonly tokens: number[]
  /** Prompt and everything that the target will emit. */
  readonly truth: readonly number[]
  preparedTokens: number
}

/** More than this is prepared before it is drafted for. */
const READY_LAG_TOKENS = 8

export class VirtualDraftModel {
  readonly #options: VirtualDraftModelOptions
  readonly #told = new Map<number, Told>()
  #isDead = false
  numDrafted = 0

  constructor(options: VirtualDraftModelOptions) {
    this.#options = options
  }

  get numSequences(): number {
    return this.#told.size
  }

  /** The next command fails, and everything is forgotten. */
  dieOnce(): void {
    this.#isDead = true
  }

  ports(): EffectTable {
    const port: EffectPort<DraftRunEffect> = {
      limit: 1,
      perform: ({ command }, run) => {
        const { scheduler, runMs, tokenMs } = this.#options
        const tokens = command.draft.reduce((sum, { depth, width }) => sum + depth * width, 0) + command.prepare.reduce((sum, { maxTokens }) => sum + maxTokens, 0)
        const durationMs = runMs + tokens * tokenMs
        scheduler.schedule(durationMs, () => {
          if (!this.#isDead) return run.complete(done(this.#apply(command, durationMs)))
          this.#isDead = false
          this.#told.clear()
          run.complete({ kind: 'failed', error: { code: 'draft_engine_failed', message: 'killed', retryable: false } })
        })
      },
    }
    return { 'draft-run': port }
  }

  #apply({ forget, introduce, append, draft, prepare }: DraftCommand, runMs: number): DraftRun {
    for (const key of forget) assert.ok(this.#told.delete(key), `key ${key} was not known`)
    for (const { key, introduction: { promptTokens, sampling, sequence }, tokenIds } of introduce) {
      const promptIds = tokenIds.slice(0, promptTokens)
      this.#told.set(key, { tokens: [...tokenIds], truth: [...promptIds, ...referenceTokens({ promptIds, sequence, sampling }, this.#options.shape)], preparedTokens: 0 })
    }
    for (const { key, tokenIds } of append) this.#told.get(key)!.tokens.push(...tokenIds)
    for (const key of [...introduce, ...append].map((each) => each.key)) {
      const { tokens, truth } = this.#told.get(key)!
      assert.deepEqual(tokens, truth.slice(0, tokens.length), 'what a speculator was told is what was emitted')
    }
    const prepared = prepare.map(({ key, maxTokens }): DraftOutcome => {
      const told = this.#told.get(key)!
      told.preparedTokens = Math.min(told.tokens.length, told.preparedTokens + maxTokens)
      return { key, state: isReady(told) ? 'ready' : 'behind', tree: null }
    })
    const outcomes = draft.map((wanted): DraftOutcome => {
      const told = this.#told.get(wanted.key)!
      return isReady(told) ? { key: wanted.key, state: 'ready', tree: this.#chain(told, Math.min(wanted.depth, wanted.maxDepth)) } : { key: wanted.key, state: 'behind', tree: null }
    })
    return { outcomes: [...outcomes, ...prepared], draftMs: runMs, runMs, cpuMs: runMs }
  }

  #chain(told: Told, depth: number): DraftOutcome['tree'] {
    const { random, goodRatio, shape } = this.#options
    told.preparedTokens = told.tokens.length
    const tokenIds = told.truth.slice(told.tokens.length, told.tokens.length + depth).map((tokenId) => (random.next() < goodRatio ? tokenId : (tokenId + 1) % shape.vocabSize))
    this.numDrafted += tokenIds.length
    if (tokenIds.length === 0) return null
    return { tokenIds, parents: tokenIds.map((_, node) => node - 1), ranks: tokenIds.map(() => 0), gaps: tokenIds.map(() => 2) }
  }
}

function isReady({ tokens, preparedTokens }: Told): boolean {
  return tokens.length - preparedTokens <= READY_LAG_TOKENS
}
