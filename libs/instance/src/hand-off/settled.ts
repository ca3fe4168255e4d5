// What became of hand-offs that were decided here: the source may ask again, and must hear the same answer.
//
// 1. Bounded: past 4096 entries the oldest goes. A forgotten hand-off is declined, and the router fences what that repeats.
import { compareEpochs } from '../epoch.ts'
import type { Epoch } from '../messages.ts'

const MAX_ENTRIES = 4096

export interface Settled {
  /** The highest epoch that was decided: the raised one where the hand-off itself was. */
  readonly epoch: Epoch
  readonly outcome: 'taken' | 'declined'
}

export class SettledHandOffs {
  readonly #entries = new Map<string, Settled>()

  note(requestId: string, epoch: Epoch, outcome: Settled['outcome']): void {
    const former = this.#entries.get(requestId)
    if (former !== undefined && compareEpochs(former.epoch, epoch) > 0) return
    this.#entries.delete(requestId)
    this.#entries.set(requestId, { epoch, outcome })
    if (this.#entries.size <= MAX_ENTRIES) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }

  /** What was decided under this epoch or a newer one; null: nothing that is remembered. */
  find(requestId: string, epoch: Epoch): Settled | null {
    const entry = this.#entries.get(requestId)
    return entry !== undefined && compareEpochs(entry.epoch, epoch) >= 0 ? entry : null
  }
}
