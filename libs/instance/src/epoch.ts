// Fencing order of epochs.
import type { Epoch } from './messages.ts'

/** Negative when `a` is older than `b`, 0 when equal; lexicographic in (recovery, hop). */
export function compareEpochs(a: Epoch, b: Epoch): number {
  return a.recovery - b.recovery || a.hop - b.hop
}
