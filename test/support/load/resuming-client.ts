// A client that means to get its whole answer: when a stream breaks, or says nothing for too long, it goes on at another
// router with the same request id and what it has.
import { setTimeout as delay } from 'node:timers/promises'
import { Answer } from './answer.ts'
import { Doors } from './doors.ts'
import type { Attempt, AttemptEnd, RouterDoors } from './doors.ts'
import type { AskedRequest } from './mixed-requests.ts'

export interface ResumingClientOptions {
  /** The routers there are now. */
  readonly routers: () => readonly RouterDoors[]
  /** A silent stream is left after this; null: never. */
  readonly silenceMs: number | null
  /** Which router it asks first. @default 0 */
  readonly firstTurn?: number
}

export interface Patience {
  /** The client leaves. */
  readonly left: AbortSignal
  /** Whether it resumes a stream that broke. */
  readonly comesBack: boolean
}

export interface ClientCounts {
  /** Attempts after the first, with and without tokens at hand. */
  numResumes: number
  numRetries: number
  /** Longest time without a sign of life in one request, and which. */
  longestGapMs: number
  longestGapOf: string
  /** Why attempts broke, by message. */
  readonly reasons: Record<string, number>
}

const RETRY_PAUSE_MS = 60
/** Far beyond leases, restarts and recoveries, on a starved machine too: whoever waits longer waits for ever. */
const GIVE_UP_MS = 60_000
const FAITHFUL: Patience = { left: new AbortController().signal, comesBack: true }

export class ResumingClient {
  readonly counts: ClientCounts = { numResumes: 0, numRetries: 0, longestGapMs: 0, longestGapOf: '', reasons: {} }
  readonly #options: ResumingClientOptions
  readonly #doors = new Doors()
  #turn: number

  constructor(options: ResumingClientOptions) {
    this.#options = options
    this.#turn = options.firstTurn ?? 0
  }

  /** Rejects when the server refuses for good, and when an answer contradicts itself. A client that leaves gets what came until then. */
  async ask(requestId: string, asked: AskedRequest, { left, comesBack }: Patience = FAITHFUL): Promise<Answer> {
    const answer = new Answer(asked.sampling.n)
    const said: string[] = []
    let lastMs = performance.now()
    const { promise: gaveUp, reject: giveUp } = Promise.withResolvers<never>()
    const over = new AbortController()
    const timer = setTimeout(() => giveUp(new Error(`${requestId} (${asked.door}) is stuck with ${answer.counts.join(',')} tokens after: ${said.join(' | ')}`)), GIVE_UP_MS)
    const onProgress = (): void => {
      const nowMs = performance.now()
      if (nowMs - lastMs > this.counts.longestGapMs) {
        this.counts.longestGapMs = nowMs - lastMs
        this.counts.longestGapOf = `${requestId} (${asked.door}) at ${answer.counts.join(',')} tokens${said.map((why) => `, ${why}`).join('')}`
      }
      lastMs = nowMs
      timer.refresh()
    }
    try {
      return await Promise.race([gaveUp, this.#seeThrough({ requestId, asked, isResume: false, answer, onProgress }, { left: AbortSignal.any([left, over.signal]), comesBack }, said)])
    } finally {
      clearTimeout(timer)
      // Of one that gave up the attempts end too.
      over.abort()
    }
  }

  close(): void {
    this.#doors.close()
  }

  async #seeThrough(first: Omit<Attempt, 'signal'>, { left, comesBack }: Patience, said: string[]): Promise<Answer> {
    const { requestId, asked, answer } = first
    for (let isResume = false; ; isResume = true) {
      const end = await this.#attempt({ ...first, isResume }, left)
      if (end.kind === 'complete' || left.aborted || (end.kind === 'broken' && !comesBack)) return answer
      said.push(end.message)
      this.counts.reasons[end.message] = (this.counts.reasons[end.message] ?? 0) + 1
      if (end.kind === 'refused') throw new Error(`${requestId} (${asked.door}) was refused with ${answer.counts.join(',')} tokens after: ${said.join(' | ')}`)
      if (answer.counts.some((count) => count > 0)) this.counts.numResumes += 1
      else this.counts.numRetries += 1
      await delay(RETRY_PAUSE_MS, undefined, { signal: left }).catch(() => {})
      if (left.aborted) return answer
    }
  }

  async #attempt(attempt: Omit<Attempt, 'signal'>, left: AbortSignal): Promise<AttemptEnd> {
    const routers = this.#options.routers()
    const router = routers[this.#turn++ % Math.max(1, routers.length)]
    if (router === undefined) return { kind: 'broken', message: 'no router' }
    // An answer in one piece is silent until it is there.
    const silenceMs = attempt.asked.door === 'json' ? null : this.#options.silenceMs
    const impatience = new AbortController()
    const timer = silenceMs === null ? null : setTimeout(() => impatience.abort(), silenceMs)
    const onProgress = (): void => {
      timer?.refresh()
      attempt.onProgress()
    }
    try {
      return await this.#doors.attempt(router, { ...attempt, onProgress, signal: AbortSignal.any([left, impatience.signal]) })
    } finally {
      if (timer !== null) clearTimeout(timer)
    }
  }
}
