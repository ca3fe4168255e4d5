// `--rolling`: every process is restarted under load, one after another, as an upgrade would. Nothing may fail.
import { setTimeout as delay } from 'node:timers/promises'
import type { Fleet } from '../fleet/fleet.ts'
import { drive } from '../load/drive.ts'
import type { DriveIo, LoadShape } from '../load/drive.ts'
import type { BenchServeReport } from '../../serve/report/report.ts'

export interface Restart {
  readonly name: string
  /** From SIGTERM to its end. */
  readonly drain_ms: number
  /** From its start to its ready line. */
  readonly start_ms: number
  /** Its exit code, or the signal that it took. */
  readonly exit: number | string
}

export interface RollingReport {
  readonly failed: number
  readonly resumed: number
  readonly retried: number
  readonly restarts: readonly Restart[]
  /** Whether the load lasted until the last process was back. */
  readonly load_lasted: boolean
  readonly report: BenchServeReport
}

const DRAIN_LIMIT_MS = 45_000
const SETTLE_MS = 1000

async function restartAll(fleet: Fleet, { progress, signal }: DriveIo): Promise<Restart[]> {
  const restarts: Restart[] = []
  for (const service of fleet.processes) {
    await delay(SETTLE_MS)
    if (signal.aborted) break
    const { name } = service.options
    const stopMs = performance.now()
    const exit = await service.stop(DRAIN_LIMIT_MS)
    const startMs = performance.now()
    await service.start()
    const endMs = performance.now()
    restarts.push({ name, drain_ms: startMs - stopMs, start_ms: endMs - startMs, exit })
    progress(`${name}: drained in ${((startMs - stopMs) / 1000).toFixed(1)} s (exit ${exit}), back in ${((endMs - startMs) / 1000).toFixed(1)} s`)
    await fleet.allSeen()
  }
  return restarts
}

export async function runRolling(fleet: Fleet, shape: LoadShape, io: DriveIo): Promise<RollingReport> {
  let loadEndMs: number | null = null
  const load = drive(fleet, shape, 'rolling', io).finally(() => (loadEndMs = performance.now()))
  const [result, { restarts, endMs }] = await Promise.all([load, restartAll(fleet, io).then((restarts) => ({ restarts, endMs: performance.now() }))])
  const { report, resumes } = result
  return { failed: report.failed, resumed: resumes.numResumed, retried: resumes.numRetried, restarts, load_lasted: loadEndMs !== null && loadEndMs >= endMs, report }
}
