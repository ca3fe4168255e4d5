// The report of `rubato bench kv`: its JSON fields are public and stable; the tables are for reading.
import { renderTable } from '../../cli/table.ts'
import { rounded } from '../engine/engine-report.ts'
import type { BreakEven, HandOffCost } from './break-even.ts'
import type { MeasuredLink, MeasuredTransfer } from './measure-transfers.ts'

/** The local socket is at least this fast against the plain copy, from LEAST_BLOCKS on. */
export const LEAST_RATIO = 0.7
const LEAST_BLOCKS = 16

export interface KvReport {
  readonly model: string
  readonly block_bytes: number
  readonly block_size: number
  readonly repeats: number
  readonly transfers: readonly {
    readonly link: MeasuredLink
    readonly num_blocks: number
    readonly bytes: number
    readonly transfer_ms: { readonly p50: number; readonly p99: number }
    readonly mb_per_s: number
    readonly plain_mb_per_s: number
    /** mb_per_s / plain_mb_per_s, with its 95 % bootstrap interval. */
    readonly ratio: { readonly value: number; readonly low: number; readonly high: number }
  }[]
  /** Of the largest transfer over the local socket, which instances of one machine use. */
  readonly mb_per_s: number
  readonly ratio: number
  /** fixed_ms: a transfer without bytes. */
  readonly hand_off: { readonly fixed_ms: number; readonly transfer_ms_per_block: number; readonly engine_ms_per_block: number }
  readonly break_even: readonly {
    readonly context: number
    readonly num_blocks: number
    readonly transfer_ms: number
    readonly hand_off_ms: number
    readonly prefill_ms: number
    readonly hand_off_to_prefill_ratio: number
    readonly break_even_mb_per_s: number | null
  }[]
}

export interface KvFigures {
  readonly model: string
  readonly blockBytes: number
  readonly blockSize: number
  readonly repeats: number
  readonly transfers: readonly MeasuredTransfer[]
  readonly handOff: HandOffCost
  readonly breakEvens: readonly BreakEven[]
}

const MB = 1e6

/** Transfers over the local socket, smallest first. */
function local(transfers: readonly MeasuredTransfer[]): readonly MeasuredTransfer[] {
  return transfers.filter(({ link }) => link === 'unix').toSorted((a, b) => a.numBlocks - b.numBlocks)
}

/** Cost of a hand-off over the local socket, from transfers of different size, by the smallest and the largest: what is not bytes, and what is. */
export function handOffCost(transfers: readonly MeasuredTransfer[], engineMsPerBlock: number): HandOffCost {
  const bySize = local(transfers)
  const [smallest, largest] = [bySize[0]!, bySize.at(-1)!]
  if (smallest.numBlocks === largest.numBlocks) return { fixedMs: 0, transferMsPerBlock: largest.p50Ms / largest.numBlocks, engineMsPerBlock }
  const perBlockMs = Math.max(0, (largest.p50Ms - smallest.p50Ms) / (largest.numBlocks - smallest.numBlocks))
  return { fixedMs: Math.max(0, smallest.p50Ms - perBlockMs * smallest.numBlocks), transferMsPerBlock: perBlockMs, engineMsPerBlock }
}

export function kvReport({ model, blockBytes, blockSize, repeats, transfers, handOff, breakEvens }: KvFigures): KvReport {
  const largest = local(transfers).at(-1)!
  return {
    model,
    block_bytes: blockBytes,
    block_size: blockSize,
    repeats,
    transfers: transfers.map(({ link, numBlocks, numBytes, p50Ms, p99Ms, kvBytesPerSec, plainBytesPerSec, ratio }) => ({
      link,
      num_blocks: numBlocks,
      bytes: numBytes,
      transfer_ms: { p50: rounded(p50Ms), p99: rounded(p99Ms) },
      mb_per_s: rounded(kvBytesPerSec / MB),
      plain_mb_per_s: rounded(plainBytesPerSec / MB),
      ratio: { value: rounded(ratio.ratio), low: rounded(ratio.low), high: rounded(ratio.high) },
    })),
    mb_per_s: rounded(largest.kvBytesPerSec / MB),
    ratio: rounded(largest.ratio.ratio),
    hand_off: { fixed_ms: rounded(handOff.fixedMs), transfer_ms_per_block: rounded(handOff.transferMsPerBlock), engine_ms_per_block: rounded(handOff.engineMsPerBlock) },
    break_even: breakEvens.map((each) => ({
      context: each.contextTokens,
      num_blocks: each.numBlocks,
      transfer_ms: rounded(each.transferMs),
      hand_off_ms: rounded(each.handOffMs),
      prefill_ms: rounded(each.prefillMs),
      hand_off_to_prefill_ratio: rounded(each.ratio),
      break_even_mb_per_s: each.breakEvenBytesPerSec === null ? null : rounded(each.breakEvenBytesPerSec / MB),
    })),
  }
}

/** Whether transfers over the local socket are surely slower than they may be. */
export function isTooSlow(transfers: readonly MeasuredTransfer[]): boolean {
  return local(transfers).some(({ numBlocks, ratio }) => numBlocks >= LEAST_BLOCKS && ratio.high < LEAST_RATIO)
}

export function renderKvReport(report: KvReport): string {
  const transfers = report.transfers.map(({ link, num_blocks, bytes, transfer_ms, mb_per_s, plain_mb_per_s, ratio }) =>
    [link, num_blocks, (bytes / MB).toFixed(1), transfer_ms.p50, transfer_ms.p99, mb_per_s, plain_mb_per_s, `${ratio.value} (${ratio.low}..${ratio.high})`].map(String))
  const breakEvens = report.break_even.map((each) =>
    [each.context, each.num_blocks, each.transfer_ms, each.hand_off_ms, each.prefill_ms, each.hand_off_to_prefill_ratio, each.break_even_mb_per_s ?? 'never'].map(String))
  const { fixed_ms, transfer_ms_per_block, engine_ms_per_block } = report.hand_off
  return [
    `${report.model}: blocks of ${report.block_size} tokens, ${report.block_bytes} bytes`,
    renderTable(transfers, { head: ['link', 'blocks', 'MB', 'P50 ms', 'P99 ms', 'MB/s', 'plain TCP MB/s', 'ratio (95 %)'] }),
    '',
    `A hand-off costs ${fixed_ms} ms, and per block ${transfer_ms_per_block} ms on the link and ${engine_ms_per_block} ms in the engines.`,
    '',
    renderTable(breakEvens, { head: ['context', 'blocks', 'transfer ms', 'hand-off ms', 'prefill ms', 'hand-off / prefill', 'break-even MB/s'] }),
  ].join('\n')
}
