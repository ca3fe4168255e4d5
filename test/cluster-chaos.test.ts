// A cluster of processes under load while its parts are killed, frozen, cut off and lied to. Clients that come back get every
// token once, the same as from an instance that nobody disturbs, and afterwards nobody holds anything.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { ChaoticCluster } from './support/chaos/chaotic-cluster.ts'
import { disturb } from './support/chaos/faults.ts'
import type { FaultCounts } from './support/chaos/faults.ts'
import { loadWhile } from './support/chaos/load.ts'
import type { LoadResult } from './support/chaos/load.ts'
import { together } from './support/chaos/together.ts'
import { startCluster } from './support/cluster.ts'
import type { Answer } from './support/load/answer.ts'
import { assertSameAnswer } from './support/load/compare.ts'
import { mixedRequests } from './support/load/mixed-requests.ts'
import type { AskedRequest } from './support/load/mixed-requests.ts'
import { ResumingClient } from './support/load/resuming-client.ts'
import { smallModel } from './support/small-model.ts'
import type { SmallModel } from './support/small-model.ts'

const NUM_DISTINCT = 60
const NUM_CLIENTS = 16
const LEAST_REQUESTS = 300
const ORPHAN_TTL_S = 3
/** Several times what it takes on a machine with one busy core. */
const LIMIT = { timeout: 480_000 }

async function undisturbed(t: TestContext, model: SmallModel, asked: readonly AskedRequest[]): Promise<readonly Answer[]> {
  const single = await startCluster(t, model.config)
  const doors = { http: `http://127.0.0.1:${single.httpPort}`, grpc: `127.0.0.1:${single.grpcPort}` }
  const client = new ResumingClient({ routers: () => [doors], silenceMs: null })
  const ask = (index: number, left: AbortSignal): Promise<Answer> => client.ask(`q${index}`, asked[index]!, { left, comesBack: true })
  const answers: Answer[] = []
  try {
    for (let first = 0; first < asked.length; first += NUM_CLIENTS) {
      const some = asked.slice(first, first + NUM_CLIENTS).map((_, place) => (left: AbortSignal) => ask(first + place, left))
      answers.push(...(await together(t.signal, ...some)))
    }
    return answers
  } finally {
    client.close()
    await single.close(0)
  }
}

test('whatever dies, freezes or lies, clients that come back get every token once and nothing is left behind', LIMIT, async (t) => {
  const seed = testSeed(7)
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  const asked = mixedRequests(random, { numRequests: NUM_DISTINCT, maxTokens: { least: 10, most: 150 } })
  const model = smallModel(t)
  const expected = await undisturbed(t, model, asked)
  const cluster = await ChaoticCluster.start(t, random, { modelFlags: model.flags, orphanTtlS: ORPHAN_TTL_S })
  const over = new AbortController()
  const startMs = performance.now()
  const seconds = (): string => ((performance.now() - startMs) / 1000).toFixed(1)
  const faulting = (signal: AbortSignal): Promise<FaultCounts> => disturb(cluster, random, { signal, onFault: (fault) => t.diagnostic(`${seconds()} s: ${fault}`) }).finally(() => over.abort())
  const loading = (signal: AbortSignal): Promise<LoadResult> => loadWhile(cluster, asked, random, { numClients: NUM_CLIENTS, leastRequests: LEAST_REQUESTS, over: over.signal, signal })
  const [faults, { outcomes, counts }] = await together<[FaultCounts, LoadResult]>(t.signal, faulting, loading)
  t.diagnostic(`${seconds()} s: ${outcomes.length} requests, ${outcomes.filter(({ answer }) => answer.isComplete).length} seen through; faults ${JSON.stringify(faults)}; ${counts.numResumes} resumed with tokens at hand, ${counts.numRetries} without, longest silence ${Math.round(counts.longestGapMs)} ms: ${counts.longestGapOf}`)
  t.diagnostic(JSON.stringify(counts.reasons))
  for (const { index, answer } of outcomes) assertSameAnswer(answer, expected[index]!, `request ${index}: ${JSON.stringify(asked[index])}`)
  assert.ok(outcomes.length >= LEAST_REQUESTS)
  await cluster.empty(t.signal)
  t.diagnostic(`${seconds()} s: nothing is held anywhere`)
  assert.deepEqual(await cluster.stop(), [0, 0, 0, 0, 0, 0])
})
