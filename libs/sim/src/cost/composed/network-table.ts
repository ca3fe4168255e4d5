// Measured times of collective operations between the devices of one machine (Vidur's network tables).
import { csvRows, numberIn } from '../csv.ts'
import { curveAt, curveThrough } from '../curve.ts'
import type { Curve } from '../curve.ts'

export type Collective = 'all_reduce' | 'send_recv'

/** Milliseconds of an all-reduce over its bytes. */
export type AllReduceTime = (bytes: number) => number

/** What is measured is the transfer or longer: where more bytes took less time, fewer would not have taken more. */
function lowerEnvelope({ xs, ys }: Curve): Curve {
  let least = Infinity
  return { xs, ys: ys.toReversed().map((y) => (least = Math.min(least, y))).reverse() }
}

/** Milliseconds over bytes, all devices in one machine. Throws RangeError when so many were not measured. */
export function parseNetworkTable(csv: string, collective: Collective, numDevices: number): Curve {
  const rows = csvRows(csv).filter((row) => numberIn(row, 'num_workers') === numDevices && numberIn(row, 'devices_per_node') === numDevices)
  if (rows.length === 0) throw new RangeError(`${collective} was not measured between ${numDevices} devices`)
  return lowerEnvelope(curveThrough(rows.map((row) => ({ x: numberIn(row, 'size'), y: numberIn(row, `time_stats.${collective}.median`) }))))
}

export function measuredAllReduce(allReduce: Curve): AllReduceTime {
  return (bytes) => curveAt(allReduce, bytes, 'level')
}

/** A ring of `numDevices` made of sends that were measured: 2 (n - 1) rounds of one n-th of the bytes. */
export function ringAllReduce(sendRecv: Curve, numDevices: number): AllReduceTime {
  return (bytes) => 2 * (numDevices - 1) * curveAt(sendRecv, bytes / numDevices, 'level')
}
