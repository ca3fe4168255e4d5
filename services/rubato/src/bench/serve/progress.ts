// Counts of a run under way, and the line that shows them.
import type { Answer } from './client/generate-client.ts'

export class Progress {
  readonly #total: number
  #numSent = 0
  #numDone = 0
  #numFailed = 0
  #outputTokens = 0

  constructor(total: number) {
    this.#total = total
  }

  sent(): void {
    this.#numSent++
  }

  ended(answer: Answer): void {
    this.#numDone++
    if (answer.end.kind === 'failed') this.#numFailed++
    else this.#outputTokens += answer.outputTokens
  }

  line(elapsedMs: number): string {
    const seconds = Math.max(elapsedMs, 1) / 1000
    const inFlight = this.#numSent - this.#numDone
    return `${seconds.toFixed(0)} s: ${this.#numDone}/${this.#total} done, ${inFlight} in flight, ${this.#numFailed} failed, ${(this.#outputTokens / seconds).toFixed(0)} tok/s`
  }
}
