import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Epoch, TokenRun } from '@rubato/instance'
import { seededRandom, testSeed } from '@rubato/testing'
import type { SeededRandom } from '@rubato/testing'
import { finishOf, Rig } from './fixtures/router-rig.ts'
import type { StatsSnapshot } from './state/stats.ts'

const NUM_CHOICES = 2

/** A truthful instance behind a lossy, duplicating, reordering wire. It holds what it was dispatched and answers resends. */
class WildInstance {
  readonly id: string
  incarnation = 1
  #jobs = new Map<string, { readonly epoch: Epoch; readonly next: number[] }>()
  #wire: TokenRun[] = []
  readonly #rig: Rig
  readonly #random: SeededRandom
  readonly #truth: ReadonlyMap<string, readonly (readonly number[])[]>

  constructor(id: string, rig: Rig, random: SeededRandom, truth: ReadonlyMap<string, readonly (readonly number[])[]>) {
    this.id = id
    this.#rig = rig
    this.#random = random
    this.#truth = truth
  }

  take(index: number): void {
    const sent = this.#rig.sent[index]!
    if (sent.to !== `instance/${this.id}`) return
    const { payload } = sent
    if (payload.kind === 'generate') this.#jobs.set(payload.requestId, { epoch: payload.epoch, next: payload.emittedIds.map((ids) => ids.length) })
    if (payload.kind === 'abort' && payload.sequence === null && this.#jobs.get(payload.requestId)?.epoch.recovery === payload.epoch.recovery) this.#jobs.delete(payload.requestId)
    const job = payload.kind === 'resend' ? this.#jobs.get(payload.requestId) : undefined
    if (payload.kind !== 'resend' || job === undefined || job.epoch.recovery !== payload.epoch.recovery) return
    this.#emit(payload.requestId, payload.sequence, payload.fromIndex, Math.max(job.next[payload.sequence]!, payload.fromIndex), job.epoch)
  }

  step(): void {
    for (const [requestId, job] of this.#jobs) {
      const sequence = this.#random.int(NUM_CHOICES)
      const from = job.next[sequence]!
      const until = Math.min(this.#truth.get(requestId)![sequence]!.length, from + 1 + this.#random.int(3))
      if (until <= from) continue
      job.next[sequence] = until
      // Now and then it says again what it said before.
      this.#emit(requestId, sequence, Math.max(0, from - this.#random.int(3)), until, job.epoch)
    }
    this.#deliver()
  }

  restart(): void {
    this.incarnation += 1
    this.#jobs.clear()
    if (this.#random.int(2) === 0) this.#wire = []
    this.load()
  }

  load(): void {
    this.#rig.load(this.id, { incarnation: this.incarnation, numRunning: this.#jobs.size })
  }

  #emit(requestId: string, sequence: number, from: number, until: number, epoch: Epoch): void {
    const all = this.#truth.get(requestId)![sequence]!
    const finish = until === all.length ? finishOf('length') : null
    this.#wire.push({ requestId, epoch, sequence, firstIndex: from, tokenIds: all.slice(from, until), logprobs: null, finish })
  }

  /** Some runs are lost, some come twice, and neighbours change places. */
  #deliver(): void {
    const runs: TokenRun[] = []
    for (const run of this.#wire) {
      const roll = this.#random.int(8)
      if (roll > 0) runs.splice(this.#random.int(3) === 0 ? Math.max(0, runs.length - 1) : runs.length, 0, run)
      if (roll === 7) runs.push(run)
    }
    this.#wire = []
    if (runs.length > 0) this.#rig.report({ kind: 'tokens', instanceId: this.id, incarnation: this.incarnation, runs })
  }
}

function play(seed: number): StatsSnapshot {
  const random = seededRandom(seed)
  const rig = new Rig({ maxConcurrentRequests: 4, queueSize: 100, queueTimeoutMs: 1e9, migrationLimit: 1e9 })
  const truth = new Map<string, number[][]>()
  const instances = ['a', 'b', 'c'].map((id) => new WildInstance(id, rig, random, truth))
  for (const instance of instances) instance.load()
  const clients = new Map<string, number>()
  for (let index = 0; index < 8; index += 1) {
    const requestId = `r${index}`
    truth.set(requestId, Array.from({ length: NUM_CHOICES }, () => Array.from({ length: 1 + random.int(20) }, () => 33 + random.int(90))))
    clients.set(requestId, rig.submit({ requestId, n: NUM_CHOICES }))
  }
  let numSeen = 0
  for (let round = 0; round < 2000 && rig.actor.snapshot().numLive > 0; round += 1) {
    for (; numSeen < rig.sent.length; numSeen += 1) for (const instance of instances) instance.take(numSeen)
    for (const instance of instances) instance.step()
    if (random.int(25) === 0) random.pick(instances).restart()
    if (random.int(5) === 0) rig.receive({ kind: random.pick(['pause', 'resume']), clientId: 1 + random.int(8) })
    if (random.int(10) === 0) for (const client of clients.values()) rig.receive({ kind: 'resume', clientId: client })
    rig.advance(random.int(200))
    for (const instance of instances) instance.load()
  }
  for (const [requestId, client] of clients) {
    assert.equal(rig.kinds(client).at(-1), 'finished', `seed ${seed}: ${requestId} ended with ${JSON.stringify(rig.eventsOf(client).at(-1))}`)
    for (const [choice, tokenIds] of truth.get(requestId)!.entries()) {
      assert.deepEqual(rig.tokenIds(client, choice), tokenIds, `seed ${seed}: ${requestId} choice ${choice}`)
      assert.equal(rig.text(client, choice), String.fromCharCode(...tokenIds), `seed ${seed}: text of ${requestId} choice ${choice}`)
      assert.equal(rig.deltas(client, choice).filter(({ finish }) => finish !== null).length, 1, `seed ${seed}: ends of ${requestId} choice ${choice}`)
    }
  }
  rig.advance(1000)
  rig.assertEmpty()
  return rig.actor.snapshot().models[0]!.stats
}

test('every token of every choice reaches its client once and in order, through loss, repetition, reordering, restarts and pauses', () => {
  const first = testSeed(1)
  const played = Array.from({ length: 60 }, (_, index) => play(first + index))
  // The schedules were as wild as they claim.
  for (const name of ['recoveriesTotal', 'resendsTotal', 'duplicateTokensTotal'] as const) assert.ok(played.reduce((sum, stats) => sum + stats[name], 0) > 100, name)
})

test('what a client sees does not depend on how tokens fall into steps', () => {
  const seed = testSeed(7)
  const random = seededRandom(seed)
  for (let round = 0; round < 200; round += 1) {
    const tokenIds = Array.from({ length: 30 }, () => random.pick([97, 98, 98, 99, 200, 201]))
    const stop = ['abc', 'bb€']
    const seen = [1, 1 + random.int(4), 30].map((largest) => {
      const rig = new Rig()
      rig.load('a')
      const client = rig.submit({ stop, sampling: { minTokens: 3 } })
      for (let at = 0; at < tokenIds.length; ) {
        const until = Math.min(tokenIds.length, at + 1 + random.int(largest))
        rig.tokens('r1', { firstIndex: at, tokenIds: tokenIds.slice(at, until), finish: until === tokenIds.length ? finishOf('length') : null })
        at = until
      }
      const last = rig.deltas(client).at(-1)!
      return { text: rig.text(client), tokenIds: rig.tokenIds(client), finish: last.finish, stopReason: last.stopReason }
    })
    assert.deepEqual(seen[1], seen[0], `seed ${seed}, round ${round}`)
    assert.deepEqual(seen[2], seen[0], `seed ${seed}, round ${round}`)
  }
})

test('memory is flat: after thousands of requests that end in every way nothing is left', () => {
  const seed = testSeed(11)
  const random = seededRandom(seed)
  const rig = new Rig({ maxConcurrentRequests: 8, queueSize: 8 })
  for (const instanceId of ['a', 'b']) rig.load(instanceId)
  for (let index = 0; index < 5000; index += 1) {
    const requestId = `r${index}`
    const client = rig.submit({ requestId, remainingMs: random.int(3) === 0 ? 1 + random.int(50) : null })
    const roll = random.int(5)
    if (roll === 0) rig.receive({ kind: 'cancel', clientId: client })
    else if (rig.generates(requestId).length > 0) rig.tokens(requestId, { tokenIds: [65], finish: roll === 1 ? null : finishOf('length') })
    if (index % 20 === 0) {
      rig.advance(200)
      rig.sent.length = 0
      rig.events.clear()
    }
    if (index % 50 === 0) for (let old = Math.max(0, index - 60); old <= index; old += 1) rig.receive({ kind: 'cancel', clientId: old + 1 })
  }
  for (let clientId = 4900; clientId <= 5000; clientId += 1) rig.receive({ kind: 'cancel', clientId })
  rig.advance(5000)
  rig.assertEmpty()
  assert.equal(rig.numTimers, 0)
})
