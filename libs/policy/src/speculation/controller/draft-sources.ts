// Where drafts are made: by the engine's own draft model behind a step, or by a speculator over the network while the batch waits.
// What each costs is measured; the cheaper one is asked, and the other often enough for its cost to be known.
//
// 1. What a draft model here costs is its effort, which takes longer where others use the machine too; what a speculator costs is the
//    time that the batch waits.
import { DraftCost } from './draft-cost.ts'
import type { DraftWork } from './draft-cost.ts'

export type DraftSource = 'local' | 'remote'

export type DraftAvailability = Readonly<Record<DraftSource, boolean>>

/** Of a speculator that was never timed: a round trip on a network without much distance. */
const ROUND_TRIP_GUESS_MS = 1
/** Drafts that a source makes before it is compared, at most so many of them asked for, and how often the dearer one is asked then. */
const LEARNING_DRAFTS = 4
const LEARNING_TRIES = 32
const LOOK_DRAFTS = 128

export class DraftSources {
  readonly #plainMs: number
  readonly #costs: Record<DraftSource, DraftCost>
  readonly #numSeen = { local: 0, remote: 0 }
  #available: DraftAvailability = { local: true, remote: false }
  #numChosen = 0

  /** `plainMs`: a decode of one sequence by the target. */
  constructor(plainMs: number) {
    this.#plainMs = plainMs
    this.#costs = { local: new DraftCost(plainMs), remote: new DraftCost(plainMs, ROUND_TRIP_GUESS_MS) }
  }

  offer(available: DraftAvailability): void {
    this.#available = available
  }

  /** Time that the batch loses to a draft from the cheapest source there is. `slowness`: passing time over effort. */
  predictMs(work: DraftWork, slowness: number): number {
    const { local, remote } = this.#available
    const [localMs, remoteMs] = [slowness * this.#costs.local.predictMs(work), this.#costs.remote.predictMs(work)]
    if (!remote) return localMs
    return local ? Math.min(localMs, remoteMs) : remoteMs
  }

  /** Who makes the next drafts. */
  choose(work: DraftWork, slowness: number): DraftSource {
    const { local, remote } = this.#available
    if (!local || !remote) return remote ? 'remote' : 'local'
    this.#numChosen += 1
    for (const source of ['remote', 'local'] as const) if (this.#numSeen[source] < LEARNING_DRAFTS && this.#numChosen < LEARNING_TRIES) return source
    const cheaper = slowness * this.#costs.local.predictMs(work) <= this.#costs.remote.predictMs(work) ? 'local' : 'remote'
    if (this.#numChosen % LOOK_DRAFTS !== 0) return cheaper
    return cheaper === 'local' ? 'remote' : 'local'
  }

  /** A draft of sequences that needed no catching up. */
  observe(source: DraftSource, work: DraftWork, costMs: number): void {
    this.#numSeen[source] += 1
    this.#costs[source].observe(work, costMs)
  }

  /** Another speculator is asked, or one that was not for a while. */
  forgetRemote(): void {
    this.#numSeen.remote = 0
    this.#numChosen = 0
    this.#costs.remote = new DraftCost(this.#plainMs, ROUND_TRIP_GUESS_MS)
  }
}
