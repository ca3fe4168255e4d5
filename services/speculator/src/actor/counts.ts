// What a speculator did so far and holds now, for its metrics.
import type { DraftRefusal } from '@rubato/model'

export interface SpeculatorSnapshot {
  readonly numSessions: number
  readonly numSequences: number
  /** Drafts that wait. */
  readonly numQueued: number
  readonly asksTotal: { readonly answered: number; readonly superseded: number; readonly expired: number; readonly busy: number }
  readonly refusedTotal: Readonly<Partial<Record<DraftRefusal, number>>>
  /** Sequences asked for, by what came of it. */
  readonly draftsTotal: { readonly drafted: number; readonly behind: number; readonly unknown: number }
  readonly draftTokensTotal: number
  /** Runs of the draft model that drafted, and drafts in them. */
  readonly batchesTotal: number
  readonly batchedDraftsTotal: number
  /** Runs that computed KV ahead. */
  readonly preparationsTotal: number
  readonly draftMsTotal: number
  readonly runMsTotal: number
  readonly cpuMsTotal: number
  /** From an ask's arrival to its first run, over those that were answered. */
  readonly queueMsTotal: number
  /** Runs that the draft model died with. */
  readonly failuresTotal: number
}

type Counters = { -readonly [Name in keyof Omit<SpeculatorSnapshot, 'numSessions' | 'numSequences' | 'numQueued'>]: SpeculatorSnapshot[Name] extends number ? number : { -readonly [Key in keyof SpeculatorSnapshot[Name]]: SpeculatorSnapshot[Name][Key] } }

export class SpeculatorCounts {
  readonly total: Counters = {
    asksTotal: { answered: 0, superseded: 0, expired: 0, busy: 0 },
    refusedTotal: {},
    draftsTotal: { drafted: 0, behind: 0, unknown: 0 },
    draftTokensTotal: 0, batchesTotal: 0, batchedDraftsTotal: 0, preparationsTotal: 0, draftMsTotal: 0, runMsTotal: 0, cpuMsTotal: 0,
    queueMsTotal: 0, failuresTotal: 0,
  }

  answered(queueMs: number): void {
    this.total.asksTotal.answered += 1
    this.total.queueMsTotal += queueMs
  }

  refused(reason: DraftRefusal): void {
    this.total.refusedTotal[reason] = (this.total.refusedTotal[reason] ?? 0) + 1
  }
}
