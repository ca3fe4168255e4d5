// Narrowing a list of choices by one metric at a time. A policy is a chain of these with a hash at its end; none has a side
// effect, and none depends on the order of the list.

/** Differences below this share of the best count as none: predictions are no better than that. */
export const NEAR_TIE_RATIO = 0.05

/** Those with the least metric, and those within `slack` of it. Empty only for an empty list. */
export function nearLeast<T>(items: readonly T[], metric: (item: T) => number, slack: (least: number) => number): readonly T[] {
  if (items.length <= 1) return items
  let least = Infinity
  for (const item of items) least = Math.min(least, metric(item))
  const limit = least + slack(least)
  return items.filter((item) => metric(item) <= limit)
}

/** Slack of 5 % of the best. */
export function withinFivePercent(least: number): number {
  return NEAR_TIE_RATIO * Math.abs(least)
}

/** No slack: exact ties only. */
export function exactly(): number {
  return 0
}

/** Those that pass; all of them when none does. */
export function preferring<T>(items: readonly T[], passes: (item: T) => boolean): readonly T[] {
  const passing = items.filter(passes)
  return passing.length > 0 ? passing : items
}
