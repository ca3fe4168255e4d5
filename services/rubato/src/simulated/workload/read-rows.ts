// The trace of a workload.
import { InvalidArgument } from '@rubato/config'
import { readTrace } from '../../bench/serve/dataset/trace-rows.ts'
import type { TraceRow } from '../../bench/serve/dataset/trace-rows.ts'
import type { WorkloadSpec } from '../scenario/scenario.ts'

/** Empty where lengths come from elsewhere. Throws InvalidArgument naming the field of a file that is missing, empty or not understood. */
export function readRows({ lengths, arrivals }: WorkloadSpec): readonly TraceRow[] {
  if (lengths.kind !== 'trace') return []
  const rows = readTrace(lengths.file, 'workload.lengths.file')
  if (arrivals.kind === 'trace' && rows.some(({ arrivalMs }) => arrivalMs === null)) throw new InvalidArgument('workload.arrivals', `${lengths.file} holds lengths without times`)
  return rows
}
