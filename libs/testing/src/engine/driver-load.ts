// What an instance under test says of itself when its router asks.
import type { LoadMessage } from '@rubato/instance'
import type { InstanceDriver } from './instance-driver.ts'

/** Its load report of now: the driver's router says hello. */
export function loadOf(driver: InstanceDriver): LoadMessage {
  driver.deliver({ kind: 'hello' })
  const reports = driver.sent.map(({ payload }) => payload).filter((payload) => payload.kind === 'load')
  return reports.at(-1)!
}

/** Blocks that are neither free nor merely cached. */
export function heldBlocksOf(driver: InstanceDriver): number {
  const { totalBlocks, freeBlocks, cachedBlocks } = loadOf(driver)
  return totalBlocks - freeBlocks - cachedBlocks
}
