// What an operator sees of a cluster: load reports over a router's admin door.
import { promisify } from 'node:util'
import { credentials } from '@grpc/grpc-js'
import { loadClusterPackage } from '@rubato/rpc'
import type { Load } from '@rubato/rpc'
import type { Service } from './processes.ts'

type ReportedLoad = Required<Omit<Load, 'pullBytesPerSec'>>

const { Cluster } = loadClusterPackage().rubato.v1
const ANSWER_LIMIT_MS = 2_000
/** Idle instances report every second, on a busy machine a little later. */
const STALE_MS = 2_500

/** The latest report of each instance that this router knows; [] while it cannot be asked. */
export async function loadsAt(router: Service): Promise<readonly ReportedLoad[]> {
  const client = new Cluster(router.fields['admin']!, credentials.createInsecure())
  try {
    const getLoad = client.getLoad.bind(client) as (request: object, options: object, done: (error: Error | null, answer?: { loads: ReportedLoad[] }) => void) => void
    return (await promisify(getLoad)({}, { deadline: Date.now() + ANSWER_LIMIT_MS }))?.loads ?? []
  } catch {
    return []
  } finally {
    client.close()
  }
}

/** It runs nothing, and every block is free or cached. */
export function isEmpty({ numRunning, numWaiting, freeBlocks, cachedBlocks, totalBlocks }: ReportedLoad): boolean {
  return numRunning + numWaiting === 0 && freeBlocks + cachedBlocks === totalBlocks
}

/** Whether so many instances report to this router, lately, that they hold nothing. */
export async function allEmpty(router: Service, numInstances: number): Promise<boolean> {
  const loads = (await loadsAt(router)).filter(({ silentMs }) => Number(silentMs) < STALE_MS)
  return loads.length === numInstances && loads.every(isEmpty)
}

/** Sum of a family's samples whose labels hold the word, as `/metrics` at this `http://host:port` shows them. */
export async function metricOf(url: string, family: string, word = ''): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const samples = text.split('\n').filter((line) => (line.startsWith(`${family}{`) || line.startsWith(`${family} `)) && line.includes(word))
  return samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
