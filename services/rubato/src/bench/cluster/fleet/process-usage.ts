// What a process has used, as the kernel counts it. Linux only: elsewhere everything is null.
import { readFileSync } from 'node:fs'

export interface ProcessUsage {
  /** User and system time of all its threads since it began. */
  readonly cpuMs: number
  readonly rssBytes: number
}

/** The kernel's unit of CPU time in /proc. */
const TICK_MS = 10

/** Null: there is no such process, or the platform does not tell. */
export function processUsage(pid: number): ProcessUsage | null {
  try {
    // The name in parentheses may hold spaces; utime and stime are fields 14 and 15 of the line.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')
    const rssKb = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    if (rssKb === undefined) return null
    return { cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS, rssBytes: Number(rssKb) * 1024 }
  } catch {
    return null
  }
}
