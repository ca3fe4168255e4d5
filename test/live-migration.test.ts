// Real requests of the bundled model that move between two instances while they decode: every token stays the same.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { ServeConfig } from '@rubato/config'
import { seededRandom, temporaryFolder, testSeed } from '@rubato/testing'
import { isIdle, startCluster, until } from './support/cluster.ts'
import { generate, mover } from './support/live-requests.ts'
import type { LiveRequest } from './support/live-requests.ts'

const MOVES = [0, 1, 2, 5]

function drawRequests(seed: number): LiveRequest[] {
  const random = seededRandom(seed)
  const opening = Array.from({ length: 140 }, () => 1 + random.int(1000))
  return MOVES.flatMap((numMoves) => [30, 200].map((length, place) => ({
    requestId: `m${numMoves}-${place}`, promptIds: [...(length > 140 ? opening : []), ...Array.from({ length: length > 140 ? length - 140 : length }, () => 1 + random.int(1000))],
    maxTokens: 46, n: 1 + place, temperature: place === 0 && numMoves > 1 ? 0 : 0.9, seed: random.int(1e6),
  })))
}

for (const dtype of ['float32', 'int8'] as const) {
  test(`${dtype}: requests that move 0, 1, 2 and 5 times have the tokens of those that stay`, async (t: TestContext) => {
    const requests = drawRequests(testSeed(5))
    const overrides: Partial<ServeConfig> = { dtype, kvCacheBytes: 64 * 2 ** 20, cacheDir: temporaryFolder(t) }
    const pair = await startCluster(t, { ...overrides, numMixed: 2 })
    await until(() => pair.routerActor.instances().filter(({ load }) => load !== null).length === 2)
    const expected = await Promise.all(requests.map((request) => generate(pair, { ...request, requestId: `${request.requestId}-stays` })))
    const move = mover(pair)
    let numMoved = 0
    for (const [place, request] of requests.entries()) {
      const numMoves = MOVES[Math.floor(place / 2)]!
      const company = generate(pair, { ...request, requestId: `${request.requestId}-company`, maxTokens: 30 })
      const answer = await generate(pair, request, (numTokens) => {
        if (numTokens % 8 === 2 && numTokens < 8 * numMoves) move(request.requestId)
      })
      await company
      assert.deepEqual(answer.tokenIds, expected[place]!.tokenIds, `${request.requestId} after ${answer.timing.migrations} moves`)
      assert.ok(answer.timing.migrations <= numMoves, request.requestId)
      numMoved += answer.timing.migrations
    }
    t.diagnostic(`${numMoved} moves of ${requests.length} requests`)
    assert.ok(numMoved >= 8, `requests moved (${numMoved})`)
    await until(() => isIdle(pair))
  })
}
