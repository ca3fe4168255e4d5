// What one trial (one variant, one rate, one seed) found. Field names are an interface to scripts: they may be added to, not renamed.

/** Milliseconds; null: nothing was measured. */
export interface LatencySummary {
  readonly p50: number | null
  readonly p90: number | null
  readonly p99: number | null
  readonly mean: number | null
}

export interface TrialHead {
  readonly variant: string
  /** Requests per second offered; null: a trace's own speed. */
  readonly rate: number | null
  readonly seed: number
}

export interface TrialCounts {
  readonly offered: number
  readonly completed: number
  /** Refused or given up: they count as missed. */
  readonly failed: number
  /** Simulated seconds from the first arrival to the last end. */
  readonly duration_s: number
  /** Share of offered requests with targets that met theirs; null: none has any. */
  readonly slo_attainment: number | null
  readonly tpot_attainment: number | null
  /** Output tokens per second of requests that met their targets; null: none has any. */
  readonly slo_goodput: number | null
  readonly request_throughput: number
  readonly output_throughput: number
  readonly total_input_tokens: number
  readonly total_output_tokens: number
  readonly preemptions: number
  readonly migrations: number
  readonly recoveries: number
  /** Tokens that a client was never given: later ones came, or its request finished short of them. */
  readonly tokens_lost: number
  /** Tokens that a client was given twice, or beyond what it asked for. */
  readonly tokens_duplicated: number
  /** KV blocks still owned when all requests had ended. */
  readonly blocks_leaked: number
  /** Requests cut to the model's length, and draws that were thrown away as too long. */
  readonly lengths_cut: number
  readonly lengths_redrawn: number
  /** US dollars per hour of the fleet. */
  readonly cost: number
  /** Watts of the fleet, at the rated power of its cards. */
  readonly power: number
  readonly error_counts: Readonly<Record<string, number>>
}

export interface TrialLatencies {
  readonly ttft_ms: LatencySummary
  /** Per request: mean gap after the first token. */
  readonly tpot_ms: LatencySummary
  /** Each gap between tokens. */
  readonly tbt_ms: LatencySummary
  readonly e2e_ms: LatencySummary
  /** From arrival until its first cell began. */
  readonly scheduling_delay_ms: LatencySummary
  /** Of requests that moved: their longest gap, less their median gap. */
  readonly downtime_ms: LatencySummary
}

export type LatencyName = keyof TrialLatencies

export const LATENCY_NAMES: readonly LatencyName[] = ['ttft_ms', 'tpot_ms', 'tbt_ms', 'e2e_ms', 'scheduling_delay_ms', 'downtime_ms']

export interface ClassCounts {
  readonly name: string
  readonly offered: number
  readonly completed: number
  readonly slo_attainment: number | null
  readonly tpot_attainment: number | null
}

/** Ratio to a request that has the reference machine to itself (Splitwise, ISCA'24 table VI). */
export interface SlowdownReport {
  readonly ttft: SlowdownQuantiles
  readonly tbt: SlowdownQuantiles
  readonly e2e: SlowdownQuantiles
  /** All nine limits hold. */
  readonly met: boolean
}

export interface SlowdownQuantiles {
  readonly p50: number | null
  readonly p90: number | null
  readonly p99: number | null
}

/** Arrivals of one stretch of time. */
export interface AttainmentPoint {
  /** Its middle. */
  readonly at_s: number
  readonly offered: number
  /** null: none of them has targets. */
  readonly attainment: number | null
}

/** State of every instance at sample times; one number per sample. */
export interface InstanceTimeline {
  readonly name: string
  readonly group: string
  /** Requests that wait, and prompts under way are not among them. */
  readonly queue: readonly number[]
  readonly running: readonly number[]
  /** Share of KV blocks that requests own; null: the instance was down. */
  readonly kv_use: readonly (number | null)[]
}

export interface Timelines {
  readonly at_s: readonly number[]
  readonly instances: readonly InstanceTimeline[]
  /** Migrations so far, over all instances. */
  readonly migrations: readonly number[]
}

/** (milliseconds, share of values not above) pairs, ascending. */
export type Cdf = readonly (readonly [ms: number, ratio: number])[]

/** What plots are drawn from. */
export interface TrialDetails {
  readonly attainment_over_time: readonly AttainmentPoint[]
  readonly timelines: Timelines
  readonly cdf: Readonly<Record<'ttft_ms' | 'tpot_ms' | 'tbt_ms' | 'e2e_ms', Cdf>>
}

export interface TrialReport extends TrialHead, TrialCounts, TrialLatencies {
  readonly classes: readonly ClassCounts[]
  /** null: the scenario compares with no reference machine. */
  readonly slowdown: SlowdownReport | null
  /** null: kept of the first seed only. */
  readonly details: TrialDetails | null
}
