// Load while a cluster is mistreated: clients that each ask for one answer after another until told to stop. Most see every
// answer through; some leave in the middle, and some do not come back when their stream breaks.
import { setTimeout as delay } from 'node:timers/promises'
import type { SeededRandom } from '@rubato/testing'
import type { Answer } from '../load/answer.ts'
import type { AskedRequest } from '../load/mixed-requests.ts'
import { ResumingClient } from '../load/resuming-client.ts'
import type { ClientCounts } from '../load/resuming-client.ts'
import type { ChaoticCluster } from './chaotic-cluster.ts'
import { together } from './together.ts'

export interface Outcome {
  readonly index: number
  readonly answer: Answer
}

export interface LoadOptions {
  readonly numClients: number
  /** At least so many answers, whatever `over` says. */
  readonly leastRequests: number
  readonly over: AbortSignal
  /** Ends it in the middle. */
  readonly signal: AbortSignal
}

export interface LoadResult {
  readonly outcomes: readonly Outcome[]
  readonly counts: ClientCounts
}

/** Of so many requests one is left in the middle, and one not resumed. */
const ONE_LEAVES = 23
const ONE_DESERTS = 29
const LEAVE_AFTER_MS = 300
/** Half of the clients wait for as long as it takes, the others leave a silent router. */
const SILENCE_MS = 2_500

/** Rejects when a request fails. Requests are asked in turn, again and again, under ids of their own. */
export async function loadWhile(cluster: ChaoticCluster, asked: readonly AskedRequest[], random: SeededRandom, { numClients, leastRequests, over, signal }: LoadOptions): Promise<LoadResult> {
  const outcomes: Outcome[] = []
  const clients = Array.from({ length: numClients }, (_, index) => new ResumingClient({ routers: () => cluster.doors(), silenceMs: index % 2 === 0 ? SILENCE_MS : null, firstTurn: index }))
  let numAsked = 0
  // Nobody waits for a cluster that is gone: when one of them fails they all leave.
  const keepAsking = async (client: ResumingClient, failed: AbortSignal): Promise<void> => {
    while (!failed.aborted && (!over.aborted || numAsked < leastRequests)) {
      const number = numAsked++
      const index = number % asked.length
      const quits = random.int(ONE_LEAVES) === 0
      const left = new AbortController()
      const leaving = quits ? delay(random.int(LEAVE_AFTER_MS)).then(() => left.abort()) : Promise.resolve()
      const answer = await client.ask(`q${number}`, asked[index]!, { left: AbortSignal.any([left.signal, failed]), comesBack: random.int(ONE_DESERTS) !== 0 })
      outcomes.push({ index, answer })
      await leaving
    }
  }
  try {
    await together(signal, ...clients.map((client) => (failed: AbortSignal) => keepAsking(client, failed)))
  } finally {
    for (const client of clients) client.close()
  }
  return { outcomes, counts: totalOf(clients.map(({ counts }) => counts)) }
}

function totalOf(all: readonly ClientCounts[]): ClientCounts {
  const reasons: Record<string, number> = {}
  for (const counts of all) for (const [reason, count] of Object.entries(counts.reasons)) reasons[reason] = (reasons[reason] ?? 0) + count
  const longest = all.reduce((most, counts) => (counts.longestGapMs > most.longestGapMs ? counts : most))
  const sum = (pick: (counts: ClientCounts) => number): number => all.reduce((total, counts) => total + pick(counts), 0)
  return { numResumes: sum(({ numResumes }) => numResumes), numRetries: sum(({ numRetries }) => numRetries), longestGapMs: longest.longestGapMs, longestGapOf: longest.longestGapOf, reasons }
}
