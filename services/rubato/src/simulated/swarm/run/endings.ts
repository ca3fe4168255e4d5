// What may end a request that was accepted, other than its last token and its client.
import type { SimRequestRecord } from '../../cluster/index.ts'

/** Timers may fire a little early, and routers take deadlines so close for past. */
const EARLY_MS = 0.5

export interface Circumstances {
  readonly nowMs: number
  /** As many instances died in the run, or seemed to, as a suspect may cost. */
  readonly mayBeQuarantined: boolean
}

export function refusalIsRight({ error, request, arrivedMs }: SimRequestRecord, { nowMs, mayBeQuarantined }: Circumstances): boolean {
  const [reason] = (error ?? '').split(':')
  if (reason === 'request_quarantined') return mayBeQuarantined
  const remainingMs = request?.remainingMs ?? null
  return reason === 'deadline_exceeded' && remainingMs !== null && nowMs + EARLY_MS >= arrivedMs + remainingMs
}
