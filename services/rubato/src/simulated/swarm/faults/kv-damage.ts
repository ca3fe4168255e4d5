// Damage to KV on its way: the puller's checksum does not fit and its pull fails, while its peer takes the blocks for delivered.
import type { EffectPort, EffectRun, EffectTable, Outcome } from '@rubato/actor'
import type { RandomStream } from '@rubato/sim'

const DAMAGED: Outcome = { kind: 'failed', error: { code: 'kv_corrupt', message: 'the checksum of a frame does not fit', retryable: true } }

/** A run that ends with another outcome than its handler's. */
export function completing(run: EffectRun, change: (outcome: Outcome) => Outcome): EffectRun {
  return {
    get signal() {
      return run.signal
    },
    onAbort: (listener) => run.onAbort(listener),
    complete: (outcome) => run.complete(change(outcome)),
  }
}

/** The ports with `kv-pull` replaced by one that damages this share of what arrives. */
export function damagedPulls(effects: EffectTable, random: RandomStream, ratio: () => number): EffectTable {
  const pull = effects['kv-pull'] as EffectPort | undefined
  if (pull === undefined) return effects
  const damaged: EffectPort = {
    limit: pull.limit,
    perform: (effect, run) => {
      const isDamaged = (outcome: Outcome): boolean => outcome.kind === 'done' && ratio() > 0 && random.next() < ratio()
      pull.perform(effect, completing(run, (outcome) => (isDamaged(outcome) ? DAMAGED : outcome)))
    },
  }
  return { ...effects, 'kv-pull': damaged }
}
