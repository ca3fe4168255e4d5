// Transfers between two processes on loopback, each measured next to a plain stream of as many bytes.
import { createKvTransport } from '@rubato/rpc'
import { randomStream } from '@rubato/sim'
import { median, percentile, ratioOfMedians } from '../statistics.ts'
import type { RatioInterval } from '../statistics.ts'
import { PlainClient } from './plain-stream.ts'
import { ServingChild } from './serving-child.ts'

export interface TransferPlan {
  readonly blockBytes: number
  readonly blockCounts: readonly number[]
  /** Pairs per block count. */
  readonly repeats: number
  readonly onProgress?: (text: string) => void
}

export interface MeasuredTransfer {
  readonly numBlocks: number
  readonly numBytes: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly kvBytesPerSec: number
  readonly plainBytesPerSec: number
  /** Rate of KV transfers over the plain rate. */
  readonly ratio: RatioInterval
}

const WARM_UPS = 3
/** Payload of KV frames, and size of plain messages. */
const MESSAGE_BYTES = 512 * 1024
const NEVER = new AbortController().signal

interface Link {
  readonly pullKv: (numBlocks: number) => Promise<number>
  readonly pullPlain: (numBlocks: number) => Promise<number>
}

async function withLink<T>({ blockBytes, blockCounts }: TransferPlan, run: (link: Link) => Promise<T>): Promise<T> {
  const child = await ServingChild.start(blockBytes * Math.max(...blockCounts))
  const transport = await createKvTransport({ host: '127.0.0.1', port: 0, advertiseAddress: null, tls: null })
  const plain = new PlainClient(child.plainAddress)
  let numOffers = 0
  const pullKv = async (numBlocks: number): Promise<number> => {
    const offer = { token: `bench-${++numOffers}`, requestId: `bench-${numOffers}`, epoch: { recovery: 0, hop: 0 }, numBlocks, blockBytes, modelFingerprint: 'bench' }
    await child.offer(offer)
    return (await transport.pull({ ...offer, kvAddress: child.kvAddress }, NEVER)).transferMs
  }
  const pullPlain = (numBlocks: number): Promise<number> => plain.pull({ numBytes: numBlocks * blockBytes, messageBytes: MESSAGE_BYTES })
  try {
    return await run({ pullKv, pullPlain })
  } finally {
    plain.close()
    await transport.close()
    await child.close()
  }
}

/** Pairs of [KV, plain] milliseconds, the order within a pair alternating. */
async function measurePairs(link: Link, numBlocks: number, repeats: number): Promise<readonly (readonly [number, number])[]> {
  const pairs: (readonly [number, number])[] = []
  for (let round = -WARM_UPS; round < repeats; round++) {
    const plainFirst = round % 2 === 0 ? await link.pullPlain(numBlocks) : null
    const kvMs = await link.pullKv(numBlocks)
    const plainMs = plainFirst ?? (await link.pullPlain(numBlocks))
    if (round >= 0) pairs.push([kvMs, plainMs])
  }
  return pairs
}

/** Starts the serving process, measures every block count, ends it. */
export function measureTransfers(plan: TransferPlan): Promise<readonly MeasuredTransfer[]> {
  return withLink(plan, async (link) => {
    const measured: MeasuredTransfer[] = []
    for (const numBlocks of plan.blockCounts) {
      plan.onProgress?.(`transfers of ${numBlocks} block(s)`)
      const numBytes = numBlocks * plan.blockBytes
      const pairs = await measurePairs(link, numBlocks, plan.repeats)
      const kvMs = pairs.map(([kv]) => kv).sort((a, b) => a - b)
      const perSec = (ms: number): number => (numBytes / ms) * 1000
      const rates = pairs.map(([kv, plain]) => [perSec(kv), perSec(plain)] as const)
      measured.push({
        numBlocks,
        numBytes,
        p50Ms: median(kvMs),
        p99Ms: percentile(kvMs, 99) ?? 0,
        kvBytesPerSec: median(rates.map(([kv]) => kv)),
        plainBytesPerSec: median(rates.map(([, plain]) => plain)),
        ratio: ratioOfMedians(rates, { random: randomStream(1, `kv ${numBlocks}`) }),
      })
    }
    return measured
  })
}
