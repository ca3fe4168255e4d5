// `--scale 1,2,4`: the same load per instance on fleets of growing size, and how far tokens per second grow with them.
import { Fleet } from '../fleet/fleet.ts'
import type { FleetOptions } from '../fleet/fleet.ts'
import { drive } from '../load/drive.ts'
import type { DriveIo, LoadShape } from '../load/drive.ts'
import { UsageSampler } from './usage-sampler.ts'
import type { UsageReport } from './usage-sampler.ts'

export interface ScalePoint {
  readonly factor: number
  readonly prefill: number
  readonly decode: number
  readonly routers: number
  readonly output_tokens_per_s: number
  /** tokens per second / (factor x those of the first point). */
  readonly linearity: number
  readonly p50_itl_ms: number | null
  readonly p99_itl_ms: number | null
  readonly failed: number
  readonly usage: UsageReport
}

/** Routers stay as many as they are: they are what is asked to carry more. */
export async function runScale(options: FleetOptions, shape: LoadShape, factors: readonly number[], io: DriveIo): Promise<readonly ScalePoint[]> {
  const points: ScalePoint[] = []
  for (const factor of factors) {
    if (io.signal.aborted) break
    const fleet = await Fleet.start({ ...options, numPrefill: options.numPrefill * factor, numDecode: options.numDecode * factor })
    try {
      const scaled = { ...shape, numRequests: shape.numRequests * factor, concurrency: shape.concurrency * factor }
      await drive(fleet, { ...scaled, numRequests: scaled.concurrency, seed: shape.seed + 1 }, `warm-${factor}`, io)
      const usage = new UsageSampler(fleet)
      const { report } = await drive(fleet, scaled, `scale-${factor}`, io)
      const first = points[0]
      const tokensPerSec = report.output_throughput
      points.push({
        factor, prefill: options.numPrefill * factor, decode: options.numDecode * factor, routers: options.numRouters,
        output_tokens_per_s: tokensPerSec,
        linearity: first === undefined ? 1 : tokensPerSec / ((first.output_tokens_per_s * factor) / first.factor),
        p50_itl_ms: report.median_itl_ms, p99_itl_ms: report.p99_itl_ms ?? null, failed: report.failed, usage: usage.report(),
      })
      io.progress(`x${factor}: ${tokensPerSec.toFixed(0)} tokens/s`)
    } finally {
      await fleet.stop()
    }
  }
  return points
}
