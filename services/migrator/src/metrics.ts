// The migrator's /metrics.
import { renderFamilies } from '@rubato/telemetry'
import type { MigratorSnapshot } from './migrator-actor.ts'

/** Prometheus text. Advice: 1 grow, -1 shrink, 0 hold. */
export function renderMigratorMetrics({ isLeading, pairs, toldTotal, models }: MigratorSnapshot): string {
  const model = (modelFingerprint: string) => ({ model_fingerprint: modelFingerprint })
  return renderFamilies([
    { name: 'rubato_migrator_leading', type: 'gauge', help: '1 while this migrator leads.', samples: [{ labels: {}, value: Number(isLeading) }] },
    { name: 'rubato_migrator_pairs', type: 'gauge', help: 'Pairs of instances between which requests move now.', samples: [{ labels: {}, value: pairs.length }] },
    {
      name: 'rubato_migrator_moves_told_total', type: 'counter', help: 'Times that an instance was told to give requests away.',
      samples: Object.entries(toldTotal).map(([reason, value]) => ({ labels: { reason }, value })),
    },
    {
      name: 'rubato_migrator_freeness_blocks', type: 'gauge', help: 'Average freeness of the instances that serve a model.',
      samples: models.map(({ modelFingerprint, averageFreenessBlocks }) => ({ labels: model(modelFingerprint), value: averageFreenessBlocks })),
    },
    {
      name: 'rubato_scaling_advice', type: 'gauge', help: '1: one more instance is needed; -1: one could leave; 0: neither.',
      samples: models.map(({ modelFingerprint, advice }) => ({ labels: model(modelFingerprint), value: ADVICE_VALUE[advice.kind] })),
    },
  ])
}

const ADVICE_VALUE = { hold: 0, grow: 1, shrink: -1 } as const
