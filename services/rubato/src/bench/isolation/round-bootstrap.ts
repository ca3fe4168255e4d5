// How sure a ratio of two statistics is when samples come in rounds: rounds are drawn with what belongs to them, since the
// steps of one round share their moment of the machine.
import type { RandomStream } from '@rubato/sim'
import type { RatioInterval } from '../statistics.ts'

export type Statistic = (values: readonly number[]) => number

/** Values of the two sides, measured in the same round. */
export type RoundPair = readonly [a: readonly number[], b: readonly number[]]

/** 95 % percentile bootstrap of statistic(all of a) / statistic(all of b) over rounds. Throws RangeError without rounds. */
export function ratioOverRounds(rounds: readonly RoundPair[], statistic: Statistic, random: Pick<RandomStream, 'next'>, numResamples = 1000): RatioInterval {
  if (rounds.length === 0) throw new RangeError('a ratio over no rounds')
  const ratioOf = (sample: readonly RoundPair[]): number => statistic(sample.flatMap(([a]) => a)) / statistic(sample.flatMap(([, b]) => b))
  const ratios = Array.from({ length: numResamples }, () => ratioOf(rounds.map(() => rounds[Math.floor(random.next() * rounds.length)]!)))
  ratios.sort((x, y) => x - y)
  const at = (share: number): number => ratios[Math.round(share * (numResamples - 1))]!
  return { ratio: ratioOf(rounds), low: at(0.025), high: at(0.975) }
}
