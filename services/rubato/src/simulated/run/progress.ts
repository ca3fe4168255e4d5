// How far a scenario is: counts of jobs and simulated time, and the line that shows them.
import type { Job, JobProgress } from './jobs.ts'

/** Trials of a search, about: the share of a search that is done can only be guessed. */
const TRIALS_PER_SEARCH = 10

export class Progress {
  readonly #jobs: readonly Job[]
  readonly #names: readonly string[]
  readonly #isSearch: boolean
  readonly #running = new Map<number, JobProgress>()
  /** Simulated time of trials that have ended, by job. */
  readonly #endedMs = new Map<number, number>()
  #numDone = 0

  /** `names` of the variants. */
  constructor(jobs: readonly Job[], names: readonly string[], isSearch: boolean) {
    this.#jobs = jobs
    this.#names = names
    this.#isSearch = isSearch
  }

  update(index: number, progress: JobProgress): void {
    const before = this.#running.get(index)
    if (before !== undefined && before.trial !== progress.trial) this.#addEnded(index, before.simulatedMs)
    this.#running.set(index, progress)
  }

  done(index: number): void {
    this.#addEnded(index, this.#running.get(index)?.simulatedMs ?? 0)
    this.#running.delete(index)
    this.#numDone += 1
  }

  /** `elapsedMs` of real time. */
  line(elapsedMs: number): string {
    const ratio = this.#ratio()
    const simulatedMs = [...this.#endedMs.values(), ...[...this.#running.values()].map((running) => running.simulatedMs)].reduce((sum, ms) => sum + ms, 0)
    const left = ratio > 0 && ratio < 1 ? `, ${durationText((elapsedMs * (1 - ratio)) / ratio)} left` : ''
    const speed = `${durationText(simulatedMs)} simulated, ${(simulatedMs / Math.max(1, elapsedMs)).toFixed(1)}x real time`
    return `${(100 * ratio).toFixed(0)} %: ${this.#numDone}/${this.#jobs.length} ${this.#isSearch ? 'searches' : 'trials'}, ${speed}${left}${this.#runningText()}`
  }

  #ratio(): number {
    let done = this.#numDone
    for (const { trial, numEnded, numRequests } of this.#running.values()) {
      const ofTrial = numEnded / Math.max(1, numRequests)
      done += this.#isSearch ? Math.min(0.95, (trial - 1 + ofTrial) / TRIALS_PER_SEARCH) : ofTrial
    }
    return this.#jobs.length === 0 ? 1 : done / this.#jobs.length
  }

  #runningText(): string {
    const texts = [...this.#running].map(([index, { ratePerSec, numEnded, numRequests }]) => {
      const { variant, seed } = this.#jobs[index]!
      return `${this.#names[variant] ?? ''}${ratePerSec === null ? '' : ` at ${ratePerSec}/s`} seed ${seed}: ${numEnded}/${numRequests}`
    })
    return texts.length === 0 ? '' : ` (${texts.join('; ')})`
  }

  #addEnded(index: number, simulatedMs: number): void {
    this.#endedMs.set(index, (this.#endedMs.get(index) ?? 0) + simulatedMs)
  }
}

/** `45 s`, `12 min`, `3.2 h`. */
export function durationText(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 100) return `${seconds.toFixed(0)} s`
  return seconds < 6000 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`
}
