// Random requests under random schedules: whatever happens, each choice emits exactly the tokens it would emit alone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchingPolicy, speculationPolicy } from '@rubato/policy'
import type { BatchingPolicy } from '@rubato/policy'
import { expectedChoice, generateMessage, instanceFixture, seededRandom, SMALL_SHAPE, testSeed } from '@rubato/testing'
import type { InstanceDriver, SeededRandom } from '@rubato/testing'
import type { GenerateMessage, LoadMessage } from './messages.ts'

const POLICIES = ['erratic', 'sarathi', 'prefill-first', 'orca'] as const
const COST_MODEL = {
  decode: { fixedMs: 1, perSequenceMs: 0.1, perNodeMs: 0.1, perContextTokenMs: 0 },
  cell: { fixedMs: 1, perTokenMs: 0.1, perPairMs: 0 },
  correctionRatio: 1,
}

/** Withholds decodes, reorders and cuts grants at random; always does something. */
function erraticBatching(random: SeededRandom): BatchingPolicy {
  return (snapshot) => {
    const runDecodes = snapshot.prefills.length === 0 || (snapshot.decodes.length > 0 && random.next() < 0.7)
    const order = random.next() < 0.8 ? snapshot.prefills : snapshot.prefills.toReversed()
    const cells = order.filter(() => random.next() < 0.7).map(({ handle, cellTokens }) => ({ handle, numCells: 1 + random.int(cellTokens.length) }))
    const first = snapshot.prefills[0]
    if (!runDecodes && cells.length === 0 && first !== undefined) cells.push({ handle: first.handle, numCells: 1 })
    return { runDecodes, cells, budgetTokens: snapshot.maxBatchedTokens }
  }
}

function drawRequest(random: SeededRandom, name: string, prefixes: readonly (readonly number[])[]): GenerateMessage {
  const tail = Array.from({ length: 1 + random.int(30) }, () => 1 + random.int(900))
  const promptIds = random.next() < 0.6 ? [...random.pick(prefixes), ...tail] : tail
  const wantsEos = random.next() < 0.3
  const maxTokens = 1 + random.int(40)
  return generateMessage(name, {
    promptIds,
    n: random.next() < 0.25 ? 2 + random.int(2) : 1,
    priority: random.int(3),
    slo: { ttftMs: random.next() < 0.5 ? 20 : null, tpotMs: random.next() < 0.3 ? 2 + random.int(4) : null },
    cacheSalt: random.next() < 0.1 ? 'other' : '',
    sampling: {
      maxTokens, seed: random.int(1000), temperature: random.next() < 0.2 ? 0 : 1, ignoreEos: !wantsEos, minTokens: random.int(Math.min(3, maxTokens)),
      stopTokenIds: random.next() < 0.5 ? Array.from({ length: 60 }, () => random.int(1000)) : [], logprobs: random.next() < 0.1 ? 0 : null,
    },
  })
}

/** The router dispatches a request again with what it knows, as after a crash. */
function recover({ driver, requests, aborted }: Workload, message: GenerateMessage): void {
  const { requestId } = message
  const choices = message.emittedIds.map((_, index) => driver.choice(requestId, index))
  const finishedSequences = [...choices.keys()].filter((index) => choices[index]!.finish !== null || aborted.has(`${requestId}#${index}`))
  if (finishedSequences.length === choices.length || aborted.has(requestId)) return
  const epoch = { recovery: message.epoch.recovery + 1, hop: 0 }
  const again = { ...message, epoch, emittedIds: choices.map(({ tokenIds }) => [...tokenIds]), finishedSequences, recovered: true }
  requests.set(requestId, again)
  driver.deliver(again)
}

interface Workload {
  readonly driver: InstanceDriver
  readonly random: SeededRandom
  readonly requests: Map<string, GenerateMessage>
  /** Whole requests (`r1`) and single choices (`r1#1`) that were aborted. */
  readonly aborted: Set<string>
  /** Choices that may hear tokens twice, because they were asked for again. */
  readonly resent: Set<string>
}

/** A random message about a request that may be waiting, running, finished or gone. */
function disturb(workload: Workload): void {
  const { driver, random, requests, aborted, resent } = workload
  const message = random.pick([...requests.values()])
  const { requestId, epoch } = message
  const sequence = random.int(message.emittedIds.length)
  const { tokenIds } = driver.choice(requestId, sequence)
  const kind = random.int(10)
  if (kind === 0) {
    aborted.add(requestId)
    driver.deliver({ kind: 'abort', requestId, epoch, sequence: null })
  } else if (kind === 1) {
    aborted.add(`${requestId}#${sequence}`)
    driver.deliver({ kind: 'abort', requestId, epoch, sequence })
  } else if (kind === 2) {
    const isGone = aborted.has(requestId) || message.emittedIds.every((_, index) => aborted.has(`${requestId}#${index}`) || driver.choice(requestId, index).finish !== null)
    driver.deliver(isGone ? { kind: 'hello' } : message)
  } else if (kind === 4 || kind === 5) recover(workload, message)
  else if (kind === 3) {
    resent.add(`${requestId}#${sequence}`)
    driver.deliver({ kind: 'resend', requestId, epoch, sequence, fromIndex: random.int(tokenIds.length + 1) })
  } else driver.deliver({ kind: 'ack', acks: [{ requestId, epoch, sequence, nextIndex: random.int(tokenIds.length + 1) }] })
}

function run(seed: number, replay: 'cells' | 'steps', policy: (typeof POLICIES)[number], speculation: string | null = null): LoadMessage {
  const random = seededRandom(seed)
  const shape = { ...SMALL_SHAPE, numBlocks: 60, maxModelLen: 200, replay }
  const batching = policy === 'erratic' ? erraticBatching(seededRandom(seed + 1)) : batchingPolicy(policy, { costModel: COST_MODEL })
  const drafting = speculation === null ? {} : { speculation: speculationPolicy(speculation), engine: { drafts: { goodRatio: 0.7, seed } }, costModel: COST_MODEL }
  const driver = instanceFixture({ shape, batching, limits: { maxNumSeqs: 12, maxNumBatchedTokens: 40 }, ...drafting })
  const prefixes = [11, 24, 32].map((length, place) => Array.from({ length }, (_, at) => 100 * place + at + 1))
  const workload: Workload = { driver, random, requests: new Map(), aborted: new Set(), resent: new Set() }
  while (workload.requests.size < 300) {
    if (random.next() < 0.25) {
      const message = drawRequest(random, `r${workload.requests.size}`, prefixes)
      workload.requests.set(message.requestId, message)
      driver.deliver(message)
    } else if (random.next() < 0.08 && workload.requests.size > 0) disturb(workload)
    else if (driver.command !== null) driver.completeStep(random.int(3))
    else driver.advance(random.int(20))
  }
  driver.runToIdle(20_000)
  checkTokens(workload, shape)
  return settle(driver)
}

function checkTokens({ driver, requests, aborted, resent }: Workload, shape: typeof SMALL_SHAPE): void {
  for (const message of requests.values()) {
    message.emittedIds.forEach((_, sequence) => {
      const { tokenIds, finish, numRepeated } = driver.choice(message.requestId, sequence)
      const name = `${message.requestId}#${sequence}`
      const expected = expectedChoice(message, sequence, shape)
      assert.ok(numRepeated === 0 || resent.has(name), `${name}: ${numRepeated} tokens came twice`)
      const isAborted = aborted.has(message.requestId) || aborted.has(name)
      assert.deepEqual(tokenIds, isAborted ? expected.slice(0, tokenIds.length) : expected, name)
      assert.equal(finish !== null, tokenIds.length === expected.length, name)
    })
  }
}

/** Lets retention pass and proves that nothing is held; the last load report has the totals. */
function settle(driver: InstanceDriver): LoadMessage {
  driver.advance(11_000)
  driver.deliver({ kind: 'hello' })
  const load = driver.sent.at(-1)!.payload
  assert.equal(load.kind, 'load')
  const report = load as LoadMessage
  assert.equal(report.freeBlocks + report.cachedBlocks, report.totalBlocks)
  assert.deepEqual([report.numRunning, report.numWaiting, report.pendingPrefillTokens, driver.engine.numLive], [0, 0, 0, 0])
  return report
}

for (const replay of ['cells', 'steps'] as const) {
  for (const [place, policy] of POLICIES.entries()) {
    test(`300 requests survive preemption, aborts, recovery and eviction: ${policy} batching, replay by ${replay}`, () => {
      const seed = testSeed(4000 + place)
      try {
        const report = run(seed, replay, policy)
        assert.ok(report.preemptionsTotal > 5, `preemptions happened (${report.preemptionsTotal})`)
        assert.ok(report.prefixHitTokensTotal > 100, `prefix hits happened (${report.prefixHitTokensTotal})`)
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
    })
  }
}

for (const replay of ['cells', 'steps'] as const) {
  for (const [place, speculation] of ['auto', 'static:3', 'ngram', 'smartspec', 'adaserve'].entries()) {
    test(`300 requests emit with speculation ${speculation} what they emit without, replay by ${replay}`, () => {
      const seed = testSeed(4100 + place)
      try {
        const report = run(seed, replay, POLICIES[place % POLICIES.length]!, speculation)
        const drafted = report.speculation!
        assert.ok(report.preemptionsTotal > 5, `preemptions happened (${report.preemptionsTotal})`)
        if (speculation !== 'ngram') assert.ok(drafted.acceptedTokensTotal > 200, `drafts were accepted (${drafted.acceptedTokensTotal} of ${drafted.draftTokensTotal})`)
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
    })
  }
}
