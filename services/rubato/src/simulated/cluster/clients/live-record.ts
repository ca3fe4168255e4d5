// A record while its request is under way, and the choices of it as they grow.
import type { ClientRequest, RequestTiming, Usage } from '@rubato/service-router'
import type { Slo } from '@rubato/instance'
import { lightToken } from '@rubato/sim'
import type { RouterProcess } from '../processes/router.ts'
import type { SimRequestEnd, SimRequestRecord } from './record.ts'

interface LiveChoice {
  numTokens: number
  /** Of no meaning before the first token. Always a number: one that may be null would be a new object for every token. */
  lastTokenMs: number
  /** Index of the token that comes next, by the tokens themselves. */
  nextIndex: number
  /** What a light engine begins the choice with. */
  readonly firstToken: number
}

export interface LiveRecordOptions {
  readonly arrivedMs: number
  readonly seed: number
  readonly keepsTokens: boolean
  readonly vocabSize: number
}

const NO_GAPS = new Float32Array(0)
/** Room for gaps is made for the whole answer at once, up to so many tokens. */
const MAX_FIRST_GAPS = 4096

export class LiveRecord implements SimRequestRecord {
  readonly requestId: string
  readonly numPromptTokens: number
  readonly n: number
  readonly slo: Slo
  readonly priority: number
  readonly arrivedMs: number
  /** As the router is told, or the request's own. */
  readonly seed: number
  readonly choices: readonly LiveChoice[]
  request: ClientRequest | null
  firstTokenMs: number | null = null
  endedMs: number | null = null
  numTokens = 0
  tokenIds: number[][] | null
  end: SimRequestEnd | null = null
  error: string | null = null
  resumes = 0
  usage: Usage | null = null
  timing: RequestTiming | null = null
  numLostTokens = 0
  numDuplicatedTokens = 0
  /** Who serves it, and as which client. */
  router: RouterProcess | null = null
  clientId = 0
  #gaps = NO_GAPS
  #numGaps = 0

  constructor(request: ClientRequest, { arrivedMs, seed, keepsTokens, vocabSize }: LiveRecordOptions) {
    const { requestId, input, n, slo, priority } = request
    this.requestId = requestId
    this.numPromptTokens = input.kind === 'tokens' ? input.tokenIds.length : 0
    this.n = n
    this.slo = slo
    this.priority = priority
    this.arrivedMs = arrivedMs
    this.seed = seed
    this.request = request
    this.choices = Array.from({ length: n }, (_, sequence) => ({ numTokens: 0, lastTokenMs: arrivedMs, nextIndex: 0, firstToken: lightToken({ seed, sequence, index: 0 }, vocabSize) }))
    this.tokenIds = keepsTokens ? this.choices.map(() => []) : null
  }

  get lastTokenMs(): number | null {
    let lastMs: number | null = null
    for (const { numTokens, lastTokenMs } of this.choices) if (numTokens > 0 && (lastMs === null || lastTokenMs > lastMs)) lastMs = lastTokenMs
    return lastMs
  }

  get gapsMs(): Float32Array {
    return this.#gaps.subarray(0, this.#numGaps)
  }

  /** One gap, and zeros for the tokens that came with the first of them. */
  addGap(gapMs: number, numTokens: number): void {
    if (this.#numGaps + numTokens > this.#gaps.length) this.#growGaps(numTokens)
    this.#gaps[this.#numGaps] = gapMs
    this.#numGaps += numTokens
  }

  /** It grows no more. */
  trimGaps(): void {
    if (this.#numGaps < this.#gaps.length) this.#gaps = this.#gaps.slice(0, this.#numGaps)
  }

  #growGaps(numTokens: number): void {
    const wholeTokens = this.n * Math.max(0, (this.request?.sampling.maxTokens ?? MAX_FIRST_GAPS) - 1)
    const gaps = new Float32Array(Math.max(Math.min(wholeTokens, MAX_FIRST_GAPS), 2 * this.#gaps.length, this.#numGaps + numTokens))
    gaps.set(this.#gaps.subarray(0, this.#numGaps))
    this.#gaps = gaps
  }
}
