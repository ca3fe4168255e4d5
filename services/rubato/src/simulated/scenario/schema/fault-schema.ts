// What goes wrong, and when. Instances are called by group and number, as a100-1; routers r1, r2; the migrator m1.
import { z } from 'zod'
import { atLeast, fields, kindError, oneOf, positive, ratio, seconds, text } from './fields.ts'

const AT = { at_s: seconds() }
const NAMES = z.array(text(), { error: 'must be a list of names' }).min(1, { error: 'must hold at least one name' })

const LINK = fields({
  kind: z.literal('link'), ...AT, for_s: seconds(),
  loss_ratio: ratio().optional(), reorder_ratio: ratio().optional(), kv_cut_ratio: ratio().optional(), latency_factor: atLeast(0).optional(), bandwidth_factor: positive().optional(),
}).transform(({ kind, at_s, for_s, ...faults }) => ({
  kind, atMs: at_s * 1000, forMs: for_s * 1000,
  faults: {
    lossRatio: faults.loss_ratio ?? 0, reorderRatio: faults.reorder_ratio ?? 0, kvCutRatio: faults.kv_cut_ratio ?? 0,
    latencyFactor: faults.latency_factor ?? 1, bandwidthFactor: faults.bandwidth_factor ?? 1,
  },
}))

export const FAULT_SCHEMA = z.discriminatedUnion('kind', [
  fields({ kind: z.literal('kill'), ...AT, name: text(), restart_s: seconds().optional() })
    .transform(({ kind, at_s, name, restart_s }) => ({ kind, atMs: at_s * 1000, name, restartMs: restart_s === undefined ? null : restart_s * 1000 })),
  fields({ kind: z.literal('freeze'), ...AT, name: text(), for_s: seconds() }).transform(({ kind, at_s, name, for_s }) => ({ kind, atMs: at_s * 1000, name, forMs: for_s * 1000 })),
  fields({ kind: z.literal('partition'), ...AT, names: NAMES, for_s: seconds() }).transform(({ kind, at_s, names, for_s }) => ({ kind, atMs: at_s * 1000, names, forMs: for_s * 1000 })),
  LINK,
  fields({ kind: z.literal('broker'), ...AT, down_s: seconds() }).transform(({ kind, at_s, down_s }) => ({ kind, atMs: at_s * 1000, downMs: down_s * 1000 })),
  fields({ kind: z.literal('drain'), ...AT, name: text() }).transform(({ kind, at_s, name }) => ({ kind, atMs: at_s * 1000, name })),
  fields({ kind: z.literal('set-role'), ...AT, name: text(), role: oneOf(['prefill', 'decode', 'mixed']) }).transform(({ kind, at_s, name, role }) => ({ kind, atMs: at_s * 1000, name, role })),
], { error: kindError })
