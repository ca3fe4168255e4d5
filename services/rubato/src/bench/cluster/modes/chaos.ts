// `--chaos`: the same requests twice, undisturbed and under faults, and how the answers differ. They must not.
import { setTimeout as delay } from 'node:timers/promises'
import { randomStream } from '@rubato/sim'
import type { Fleet } from '../fleet/fleet.ts'
import type { ServiceKind, ServiceProcess } from '../fleet/service-process.ts'
import { compareAnswers } from '../load/compare-answers.ts'
import type { AnswerDifferences } from '../load/compare-answers.ts'
import { drive } from '../load/drive.ts'
import type { DriveIo, LoadShape } from '../load/drive.ts'
import type { ResumeCounts } from '../load/resumable-client.ts'
import type { BenchServeReport } from '../../serve/report/report.ts'
import { chaosSchedule, faultName, faultsPerRound } from './chaos-schedule.ts'
import type { Fault, ScheduledFault } from './chaos-schedule.ts'
import { leftoversOf } from './leftovers.ts'
import type { Leftovers } from './leftovers.ts'

export interface ChaosReport extends AnswerDifferences {
  readonly seed: number
  /** Faults done, by name. */
  readonly faults: Readonly<Record<string, number>>
  /** Whether every kind of fault was done before the load ended. */
  readonly round_complete: boolean
  readonly resumed: number
  readonly retried: number
  readonly leftovers: Leftovers
  readonly undisturbed: BenchServeReport
  readonly disturbed: BenchServeReport
}

const RESTART_ATTEMPTS = 3

/** Starts it again; its former lease may have to run out first, and the broker may be away. */
async function startAgain(service: ServiceProcess, io: DriveIo): Promise<void> {
  for (let attempt = 1; !io.signal.aborted; attempt++) {
    try {
      return await service.start()
    } catch (error) {
      if (attempt === RESTART_ATTEMPTS) throw error
      io.progress(`${service.options.name} did not start again, trying once more: ${error instanceof Error ? error.message : String(error)}`)
      await delay(500)
    }
  }
}

async function perform(fleet: Fleet, { fault, pick }: ScheduledFault, io: DriveIo): Promise<void> {
  if (fault.kind === 'restart-broker') return fleet.broker.restart(fault.downMs)
  const candidates = fleet.ofKind(fault.target)
  const service = candidates[pick % candidates.length]!
  if (fault.kind === 'kill') {
    service.signal('SIGKILL')
    await delay(fault.downMs)
    return startAgain(service, io)
  }
  service.signal('SIGSTOP')
  await delay(fault.forMs)
  service.signal('SIGCONT')
}

interface FaultLog {
  readonly done: Record<string, number>
  numDone: number
}

/** Faults one after another until told to end. */
async function disturb(fleet: Fleet, schedule: Iterator<ScheduledFault, never>, log: FaultLog, { io, end }: { io: DriveIo; end: AbortSignal }): Promise<void> {
  const count = (fault: Fault): void => {
    log.done[faultName(fault)] = (log.done[faultName(fault)] ?? 0) + 1
    log.numDone++
  }
  for (;;) {
    const { value: next } = schedule.next()
    await delay(next.afterMs, undefined, { signal: end }).catch(() => {})
    if (end.aborted) return
    io.progress(`fault: ${faultName(next.fault)}`)
    await perform(fleet, next, io)
    count(next.fault)
  }
}

export async function runChaos(fleet: Fleet, shape: LoadShape, io: DriveIo): Promise<ChaosReport> {
  io.progress('the undisturbed run')
  const undisturbed = await drive(fleet, shape, 'calm', io)
  const kinds = [...new Set(fleet.processes.map(({ options }) => options.kind))] satisfies ServiceKind[]
  const log: FaultLog = { done: {}, numDone: 0 }
  const over = new AbortController()
  const end = AbortSignal.any([over.signal, io.signal])
  io.progress(`the same requests under faults, seed ${shape.seed}`)
  const disturbance = disturb(fleet, chaosSchedule(kinds, randomStream(shape.seed, 'chaos')), log, { io, end })
  const load = drive(fleet, shape, 'chaos', io).finally(() => over.abort())
  const [disturbed] = await Promise.all([load, disturbance])
  const resumes: ResumeCounts = disturbed.resumes
  io.progress('waiting until nothing is held')
  return {
    seed: shape.seed,
    faults: log.done,
    round_complete: log.numDone >= faultsPerRound(kinds),
    ...compareAnswers(disturbed.records, undisturbed.records),
    resumed: resumes.numResumed,
    retried: resumes.numRetried,
    leftovers: await leftoversOf(fleet, io.signal),
    undisturbed: undisturbed.report,
    disturbed: disturbed.report,
  }
}
