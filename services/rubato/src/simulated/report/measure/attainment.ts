// Attainment: the share of offered requests that met their targets, as a whole, per class, and over time.
import type { RequestOutcome } from './outcome.ts'
import { verdictOf } from './outcome.ts'
import { NumberList } from './number-list.ts'
import type { AttainmentPoint, ClassCounts } from '../trial-report.ts'

const NUM_WINDOWS = 60

class Tally {
  offered = 0
  completed = 0
  #numJudged = 0
  #numMet = 0
  #numTpotJudged = 0
  #numTpotMet = 0
  /** Output tokens of requests that met their targets. */
  tokensMet = 0

  add(outcome: RequestOutcome, { tpot, slo }: ReturnType<typeof verdictOf>): void {
    this.offered += 1
    if (outcome.end === 'finished') this.completed += 1
    if (slo !== null) this.#numJudged += 1
    if (tpot !== null) this.#numTpotJudged += 1
    if (tpot === true) this.#numTpotMet += 1
    if (slo !== true) return
    this.#numMet += 1
    this.tokensMet += outcome.numTokens
  }

  /** null: none has targets. */
  get sloRatio(): number | null {
    return this.#numJudged === 0 ? null : this.#numMet / this.#numJudged
  }

  get tpotRatio(): number | null {
    return this.#numTpotJudged === 0 ? null : this.#numTpotMet / this.#numTpotJudged
  }

  get numMissed(): number {
    return this.#numJudged - this.#numMet
  }
}

export class AttainmentBook {
  readonly total = new Tally()
  readonly #classes = new Map<string, Tally>()
  readonly #arrivals = new NumberList()
  /** 1 met, 0 missed, -1 without targets; by order of ending, as arrivals. */
  readonly #met = new NumberList()

  add(outcome: RequestOutcome): void {
    const verdict = verdictOf(outcome)
    const { className, arrivalMs } = outcome.planned
    this.total.add(outcome, verdict)
    this.#arrivals.push(arrivalMs)
    this.#met.push(verdict.slo === null ? -1 : Number(verdict.slo))
    if (className === null) return
    let tally = this.#classes.get(className)
    if (tally === undefined) this.#classes.set(className, (tally = new Tally()))
    tally.add(outcome, verdict)
  }

  /** In order of name. */
  classes(): ClassCounts[] {
    const entries = [...this.#classes].toSorted(([a], [b]) => (a < b ? -1 : 1))
    return entries.map(([name, { offered, completed, sloRatio, tpotRatio }]) => ({ name, offered, completed, slo_attainment: sloRatio, tpot_attainment: tpotRatio }))
  }

  /** By time of arrival, in windows of equal length; those without arrivals are left out. */
  overTime(): AttainmentPoint[] {
    const [arrivals, met] = [this.#arrivals.values(), this.#met.values()]
    const windowMs = (arrivals.reduce((last, at) => Math.max(last, at), 0) + 1) / NUM_WINDOWS
    const windows = Array.from({ length: NUM_WINDOWS }, () => ({ offered: 0, judged: 0, met: 0 }))
    arrivals.forEach((arrivalMs, index) => {
      const window = windows[Math.floor(arrivalMs / windowMs)]!
      window.offered += 1
      if (met[index]! >= 0) window.judged += 1
      if (met[index] === 1) window.met += 1
    })
    return windows
      .map((window, index) => ({ at_s: ((index + 0.5) * windowMs) / 1000, offered: window.offered, attainment: window.judged === 0 ? null : window.met / window.judged }))
      .filter(({ offered }) => offered > 0)
  }
}
