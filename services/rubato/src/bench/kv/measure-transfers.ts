// Transfers between two processes on loopback, over each kind of link, each measured next to a plain TCP copy of as many bytes.
import { createKvTransport } from '@rubato/rpc'
import type { KvTransport } from '@rubato/rpc'
import { randomStream } from '@rubato/sim'
import { median, percentile, ratioOfMedians } from '../statistics.ts'
import type { RatioInterval } from '../statistics.ts'
import { PlainCopy } from './plain-copy.ts'
import { ServingChild } from './serving-child.ts'

/** What the receiver speaks: everything that it prefers less is there too. */
export const LINKS = { unix: ['tcp', 'unix'], tcp: ['tcp'], grpc: [] } as const satisfies Record<string, readonly ('tcp' | 'unix')[]>
export type MeasuredLink = keyof typeof LINKS

export interface TransferPlan {
  readonly blockBytes: number
  readonly blockCounts: readonly number[]
  /** Rounds per block count: one transfer over each link, and one plain copy. */
  readonly repeats: number
  readonly onProgress?: (text: string) => void
}

export interface MeasuredTransfer {
  readonly link: MeasuredLink
  readonly numBlocks: number
  readonly numBytes: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly kvBytesPerSec: number
  readonly plainBytesPerSec: number
  /** Rate of KV transfers over the plain rate. */
  readonly ratio: RatioInterval
}

/** Before anything is measured, of the smallest size, until everything is compiled; and before each size. */
const COLD_ROUNDS = 50
const WARM_UPS = 3
const NEVER = new AbortController().signal

/** Milliseconds of a transfer of so many blocks. */
type Pull = (numBlocks: number) => Promise<number>

interface Rig {
  readonly links: Readonly<Record<MeasuredLink, Pull>>
  readonly plain: Pull
}

async function withRig<T>({ blockBytes, blockCounts }: TransferPlan, run: (rig: Rig) => Promise<T>): Promise<T> {
  const maxBytes = blockBytes * Math.max(...blockCounts)
  const child = await ServingChild.start(maxBytes)
  const transports: KvTransport[] = []
  const plain = new PlainCopy(child.plainPort, maxBytes)
  let numOffers = 0
  const over = async (lanes: readonly ('tcp' | 'unix')[]): Promise<Pull> => {
    const transport = await createKvTransport({ host: '127.0.0.1', port: 0, advertiseAddress: null, tls: null, lanes })
    transports.push(transport)
    return async (numBlocks) => {
      const offer = { token: `bench-${++numOffers}`, requestId: `bench-${numOffers}`, epoch: { recovery: 0, hop: 0 }, numBlocks, blockBytes, modelFingerprint: 'bench' }
      await child.offer(offer)
      const { bytes, transferMs } = await transport.pull({ ...offer, kvAddress: child.kvAddress }, NEVER)
      // As the instance does once the engine has them.
      transport.recycle(bytes)
      return transferMs
    }
  }
  try {
    const links = { unix: await over(LINKS.unix), tcp: await over(LINKS.tcp), grpc: await over(LINKS.grpc) }
    return await run({ links, plain: (numBlocks) => plain.pull(numBlocks * blockBytes) })
  } finally {
    plain.close()
    await Promise.all(transports.map((transport) => transport.close()))
    await child.close()
  }
}

/** Milliseconds per link and of the plain copy, round by round; who begins goes round. */
async function measureRounds({ links, plain }: Rig, numBlocks: number, repeats: number, warmUps = WARM_UPS): Promise<readonly ReadonlyMap<MeasuredLink | 'plain', number>[]> {
  const pulls = [['plain', plain], ...(Object.entries(links) as [MeasuredLink, Pull][])] as const
  const rounds: ReadonlyMap<MeasuredLink | 'plain', number>[] = []
  for (let round = 0; round < warmUps + repeats; round++) {
    const times = new Map<MeasuredLink | 'plain', number>()
    for (let turn = 0; turn < pulls.length; turn++) {
      const [name, pull] = pulls[(round + turn) % pulls.length]!
      times.set(name, await pull(numBlocks))
    }
    if (round >= warmUps) rounds.push(times)
  }
  return rounds
}

/** Starts the serving process, measures every block count over every link, ends it. */
export function measureTransfers(plan: TransferPlan): Promise<readonly MeasuredTransfer[]> {
  return withRig(plan, async (rig) => {
    const measured: MeasuredTransfer[] = []
    await measureRounds(rig, Math.min(...plan.blockCounts), 0, COLD_ROUNDS)
    for (const numBlocks of plan.blockCounts) {
      plan.onProgress?.(`transfers of ${numBlocks} block(s)`)
      const rounds = await measureRounds(rig, numBlocks, plan.repeats)
      for (const link of Object.keys(LINKS) as MeasuredLink[]) measured.push(summary(link, numBlocks, plan.blockBytes, rounds))
    }
    return measured
  })
}

function summary(link: MeasuredLink, numBlocks: number, blockBytes: number, rounds: readonly ReadonlyMap<MeasuredLink | 'plain', number>[]): MeasuredTransfer {
  const numBytes = numBlocks * blockBytes
  const perSec = (ms: number): number => (numBytes / ms) * 1000
  const kvMs = rounds.map((times) => times.get(link)!).sort((a, b) => a - b)
  const rates = rounds.map((times) => [perSec(times.get(link)!), perSec(times.get('plain')!)] as const)
  return {
    link,
    numBlocks,
    numBytes,
    p50Ms: median(kvMs),
    p99Ms: percentile(kvMs, 99) ?? 0,
    kvBytesPerSec: median(rates.map(([kv]) => kv)),
    plainBytesPerSec: median(rates.map(([, plain]) => plain)),
    ratio: ratioOfMedians(rates, { random: randomStream(1, `kv ${link} ${numBlocks}`) }),
  }
}
