import type { RandomStream } from '@rubato/sim'

/** One of the items, which are not empty. */
export function pick<T>(random: RandomStream, items: readonly T[]): T {
  return items[random.int(items.length)]!
}
