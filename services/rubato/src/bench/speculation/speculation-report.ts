// The report of `rubato bench speculation`: tokens per second of CPU, by policy and load, and how they compare with the first policy.
import type { RandomStream } from '@rubato/sim'
import { renderTable } from '../../cli/table.ts'
import { rounded } from '../engine/engine-report.ts'
import { median, ratioOfMedians } from '../statistics.ts'
import type { RatioInterval } from '../statistics.ts'
import type { LoadRounds, PolicyRounds } from './measure-policies.ts'
import type { PolicySample } from './policy-instance.ts'

export interface PolicyReport {
  readonly policy: string
  readonly tokens_per_cpu_s: number
  /** CPU outside the engine's thread, of all. */
  readonly host_share: number
  readonly mean_step_tokens: number
  /** Per verified tree, the guaranteed token included; 1 where nothing was verified. */
  readonly mean_emitted: number
  readonly mean_nodes: number
  readonly verified_share: number
  /** Of tokens per second of CPU to those of the first policy. */
  readonly ratio: RatioInterval
}

export interface LoadReport {
  readonly batch: number
  readonly temperature: number
  readonly policies: readonly PolicyReport[]
}

const speedOf = ({ cpuMs, tokens }: PolicySample): number => (tokens / cpuMs) * 1000

function total(samples: readonly PolicySample[], name: keyof PolicySample): number {
  return samples.reduce((sum, sample) => sum + sample[name], 0)
}

function policyReport({ policy, samples }: PolicyRounds, baseline: PolicyRounds, batch: number, random: Pick<RandomStream, 'next'>): PolicyReport {
  const verified = total(samples, 'verified')
  const steps = total(samples, 'steps')
  const ratio = ratioOfMedians(samples.map((sample, round) => [speedOf(sample), speedOf(baseline.samples[round]!)]), { random })
  return {
    policy,
    tokens_per_cpu_s: rounded(median(samples.map(speedOf))),
    host_share: rounded(1 - total(samples, 'engineCpuMs') / total(samples, 'cpuMs')),
    mean_step_tokens: rounded(total(samples, 'tokens') / steps / batch),
    mean_emitted: verified === 0 ? 1 : rounded(total(samples, 'verifiedTokens') / verified),
    mean_nodes: verified === 0 ? 0 : rounded(total(samples, 'nodes') / verified),
    verified_share: rounded(verified / steps / batch),
    ratio: { ratio: rounded(ratio.ratio), low: rounded(ratio.low), high: rounded(ratio.high) },
  }
}

/** Ratios are to the first policy of each load. */
export function speculationReport(loads: readonly LoadRounds[], random: Pick<RandomStream, 'next'>): LoadReport[] {
  return loads.map(({ batch, temperature, policies }) => ({ batch, temperature, policies: policies.map((rounds) => policyReport(rounds, policies[0]!, batch, random)) }))
}

const HEAD = ['batch', 'temperature', 'policy', 'tokens per CPU s', 'tokens per step', 'emitted per verify', 'nodes', 'verified %', 'host %', 'ratio', '95 %'] as const

export function renderSpeculation(loads: readonly LoadReport[]): string {
  const rows = loads.flatMap(({ batch, temperature, policies }) => policies.map((report) => [
    String(batch), String(temperature), report.policy, report.tokens_per_cpu_s.toFixed(1), report.mean_step_tokens.toFixed(2), report.mean_emitted.toFixed(2), report.mean_nodes.toFixed(1),
    (100 * report.verified_share).toFixed(1), (100 * report.host_share).toFixed(1), report.ratio.ratio.toFixed(3), `${report.ratio.low.toFixed(3)} to ${report.ratio.high.toFixed(3)}`,
  ]))
  return renderTable(rows, { head: HEAD })
}
