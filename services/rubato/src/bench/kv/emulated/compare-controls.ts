// What adaptation is worth, link by link: the code that runs on live links against fixed ways to use one, in virtual time.
import { AdaptiveControl } from '@rubato/policy'
import type { LinkControl } from '@rubato/policy'
import { renderTable } from '../../../cli/table.ts'
import { percentile } from '../../statistics.ts'
import type { LinkConditions } from './emulated-link.ts'
import { LAST_RANGE_BYTES, RANGES_PER_PROMPT, RANGE_BYTES, runEmulated } from './emulated-run.ts'
import type { EndFigures } from './emulated-run.ts'
import { fixedControl } from './fixed-control.ts'

export interface ComparedControl {
  readonly link: string
  readonly control: string
  /** KV bytes over what the link carries in the same time; above 1 where they were packed. */
  readonly goodputRatio: number
  /** One-way, of small messages that share the link. */
  readonly messageP99Ms: number
}

const MBIT = 1e6 / 8
export const EMULATED_LINKS: Readonly<Record<string, LinkConditions>> = {
  '10 Gbit/s, 0.2 ms': { bytesPerSec: 10_000 * MBIT, roundTripMs: 0.2, lossRatio: 0 },
  '1 Gbit/s, 0.3 ms': { bytesPerSec: 1000 * MBIT, roundTripMs: 0.3, lossRatio: 0 },
  '1 Gbit/s, 10 ms': { bytesPerSec: 1000 * MBIT, roundTripMs: 10, lossRatio: 0 },
  '1 Gbit/s, 10 ms, 0.1 % lost': { bytesPerSec: 1000 * MBIT, roundTripMs: 10, lossRatio: 0.001 },
  '100 Mbit/s, 30 ms': { bytesPerSec: 100 * MBIT, roundTripMs: 30, lossRatio: 0 },
  '100 Mbit/s, 30 ms, 0.1 % lost': { bytesPerSec: 100 * MBIT, roundTripMs: 30, lossRatio: 0.001 },
}

const CONTROLS: Readonly<Record<string, () => LinkControl>> = {
  adaptive: () => new AdaptiveControl(['lossless']),
  '1 lane, 1 MiB under way': () => fixedControl({ numLanes: 1, frameBytes: 512 * 1024, windowBytes: 1 << 20 }),
  '1 lane, 32 MiB under way': () => fixedControl({ numLanes: 1, frameBytes: 256 * 1024, windowBytes: 32 << 20 }),
  '4 lanes, 8 MiB under way': () => fixedControl({ numLanes: 4, frameBytes: 256 * 1024, windowBytes: 8 << 20 }),
}

/** As measured between two processes of one 2-core machine. */
const ENDS: EndFigures = { sendBytesPerSec: 1.5e9, encodeBytesPerSec: { raw: 1e12, lossless: 100e6 }, wireRatio: { raw: 1, lossless: 0.85 } }
/** Long enough for the control to settle. */
const RUN_MS = 6_000
const MAX_TRANSFERS = 600

/** Every control on every link. Deterministic. */
export function compareControls(seed: number): readonly ComparedControl[] {
  return Object.entries(EMULATED_LINKS).flatMap(([link, conditions]) =>
    Object.entries(CONTROLS).map(([control, create]) => {
      const promptBytes = (RANGES_PER_PROMPT - 1) * RANGE_BYTES + LAST_RANGE_BYTES
      const numPrompts = Math.ceil(Math.min(MAX_TRANSFERS, (conditions.bytesPerSec * RUN_MS) / 1000 / RANGE_BYTES) / RANGES_PER_PROMPT)
      const { totalMs, messageDelaysMs } = runEmulated({ conditions, control: create(), ends: ENDS, numTransfers: numPrompts * RANGES_PER_PROMPT, seed })
      const delaysMs = messageDelaysMs.toSorted((a, b) => a - b)
      return { link, control, goodputRatio: (numPrompts * promptBytes) / ((totalMs / 1000) * conditions.bytesPerSec), messageP99Ms: percentile(delaysMs, 99) ?? 0 }
    }))
}

export function renderComparison(rows: readonly ComparedControl[]): string {
  return renderTable(rows.map(({ link, control, goodputRatio, messageP99Ms }) => [link, control, goodputRatio.toFixed(2), messageP99Ms.toFixed(1)]), { head: ['link', 'control', 'KV / link rate', 'message P99 ms'] })
}
