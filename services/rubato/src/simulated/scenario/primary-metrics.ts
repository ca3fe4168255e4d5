// The measures that an experiment may be about, named before it runs. Each is a figure of the report.

const LATENCIES = ['ttft_ms', 'tpot_ms', 'tbt_ms', 'e2e_ms', 'scheduling_delay_ms', 'downtime_ms'] as const
const PERCENTILES = ['p50', 'p90', 'p99'] as const

export type LatencyMetric = `${(typeof LATENCIES)[number]}.${(typeof PERCENTILES)[number]}`
export type CountMetric = 'completed' | 'slo_attainment' | 'tpot_attainment' | 'slo_goodput' | 'output_throughput' | 'preemptions' | 'migrations' | 'cost' | 'power'
/** Found by a search for the highest rate. */
export type CapacityMetric = 'capacity' | 'capacity_goodput'
export type PrimaryMetric = LatencyMetric | CountMetric | CapacityMetric

const COUNTS: readonly CountMetric[] = ['completed', 'slo_attainment', 'tpot_attainment', 'slo_goodput', 'output_throughput', 'preemptions', 'migrations', 'cost', 'power']
export const CAPACITY_METRICS: readonly CapacityMetric[] = ['capacity', 'capacity_goodput']

export const PRIMARY_METRICS: readonly PrimaryMetric[] = [
  ...COUNTS, ...CAPACITY_METRICS, ...LATENCIES.flatMap((latency) => PERCENTILES.map((percentile): LatencyMetric => `${latency}.${percentile}`)),
]
