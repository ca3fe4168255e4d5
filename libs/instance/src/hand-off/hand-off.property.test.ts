// Two instances that hand requests to each other, prompts and live ones, while messages are lost, doubled and late, pulls fail, routers and instances
// die and pools are tiny: every request that ends has exactly the tokens it would have alone, and nothing stays held.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectedChoice, generateMessage, InstanceNetwork, seededRandom, SMALL_SHAPE, testSeed } from '@rubato/testing'
import type { InstanceDriver, InstanceFixtureOptions, SeededRandom } from '@rubato/testing'
import type { GenerateMessage, LoadMessage } from '../messages.ts'
import { RouterStub } from './fixtures/router-stub.ts'
import type { StubRequest } from './fixtures/router-stub.ts'

const NUM_REQUESTS = 300
const ROUTERS = ['router/r1', 'router/r2', 'router/r3', 'router/r4']

interface Faults {
  readonly loss: number
  readonly double: number
  readonly lateMs: number
  readonly badPull: number
  /** Chances per round. */
  readonly abort: number
  readonly routerDeath: number
  readonly instanceDeath: number
  /** Chance per round that a live request is told to move. */
  readonly migrate: number
}

const NO_FAULTS: Faults = { loss: 0, double: 0, lateMs: 0, badPull: 0, abort: 0, routerDeath: 0, instanceDeath: 0, migrate: 0 }
const SCENES: readonly (readonly [name: string, faults: Partial<Faults>, options: InstanceFixtureOptions])[] = [
  ['nothing fails', {}, {}],
  ['late messages', { lateMs: 400 }, {}],
  ['lost and doubled messages', { loss: 0.05, double: 0.05, lateMs: 20 }, {}],
  ['failing pulls', { badPull: 0.4 }, {}],
  ['aborts', { abort: 0.03, lateMs: 30 }, {}],
  ['routers die', { routerDeath: 0.01, lateMs: 10 }, {}],
  ['instances die', { instanceDeath: 0.01, lateMs: 10 }, {}],
  ['tiny pools', { lateMs: 10, badPull: 0.05 }, { shape: { numBlocks: 34 } }],
  ['tiny pools, replay by steps', { lateMs: 10, abort: 0.01 }, { shape: { numBlocks: 34, replay: 'steps' } }],
  ['no prefix cache', { badPull: 0.1 }, { enablePrefixCache: false }],
  ['live requests move', { migrate: 0.3 }, {}],
  ['live requests move, replay by steps', { migrate: 0.3, lateMs: 6 }, { shape: { replay: 'steps' } }],
  ['live requests move, several at a time', { migrate: 0.5, lateMs: 6, badPull: 0.1 }, { maxMigrations: 4 }],
  ['live requests move, lost and doubled messages', { migrate: 0.3, loss: 0.05, double: 0.05, lateMs: 6 }, { maxMigrations: 4 }],
  ['live requests move, failing pulls', { migrate: 0.3, badPull: 0.4 }, { maxMigrations: 2 }],
  ['live requests move, aborts', { migrate: 0.3, abort: 0.03, lateMs: 6 }, { maxMigrations: 2 }],
  ['live requests move, routers die', { migrate: 0.3, routerDeath: 0.01, lateMs: 6 }, { maxMigrations: 2 }],
  ['live requests move, instances die', { migrate: 0.3, instanceDeath: 0.01, lateMs: 6 }, { maxMigrations: 2 }],
  ['live requests move, tiny pools', { migrate: 0.3, lateMs: 6, badPull: 0.05 }, { maxMigrations: 3, shape: { numBlocks: 34 } }],
  ['live requests move, no prefix cache', { migrate: 0.3, badPull: 0.1 }, { enablePrefixCache: false }],
  ['live requests move, everything fails', { migrate: 0.3, loss: 0.01, double: 0.02, lateMs: 6, badPull: 0.1, abort: 0.005, routerDeath: 0.005, instanceDeath: 0.003 }, { maxMigrations: 3, shape: { numBlocks: 40 } }],
  ['everything fails', { loss: 0.01, double: 0.02, lateMs: 40, badPull: 0.1, abort: 0.005, routerDeath: 0.005, instanceDeath: 0.003 }, { shape: { numBlocks: 40 } }],
]

class Scene {
  readonly random: SeededRandom
  readonly faults: Faults
  readonly options: InstanceFixtureOptions
  readonly network: InstanceNetwork
  readonly router: RouterStub
  readonly prefixes: readonly (readonly number[])[]
  /** Addresses that are alive, one per name. */
  readonly alive: string[] = []
  #numLives = 0
  #numRouters = 1
  isCalm = false
  preemptions = 0
  readonly counts = { taken: 0, declined: 0, offers: 0, moved: 0 }

  constructor(seed: number, faults: Partial<Faults>, options: InstanceFixtureOptions) {
    this.random = seededRandom(seed)
    this.faults = { ...NO_FAULTS, ...faults }
    this.options = options
    this.network = new InstanceNetwork({ delaysMs: () => this.#delaysMs(), onOther: (mail) => this.router.receive(mail) })
    this.router = new RouterStub(this.network)
    this.prefixes = [11, 24, 32].map((length, place) => Array.from({ length }, (_, at) => 100 * place + at + 1))
    this.start('a')
    this.start('b')
  }

  get shape() {
    return { ...SMALL_SHAPE, numBlocks: this.faults.migrate > 0 ? 140 : 60, maxModelLen: 120, ...this.options.shape }
  }

  start(name: string): void {
    const id = `${name}@${this.#numLives++}`
    const driver = this.network.add(id, { limits: { maxNumSeqs: 8, maxNumBatchedTokens: 24 }, ...this.options, shape: this.shape })
    const { onSend } = driver
    driver.onSend = (to, payload) => {
      if (payload.kind === 'taken') this.counts.taken++
      if (payload.kind === 'declined') this.counts.declined++
      if (payload.kind === 'offer') this.counts.offers++
      if (payload.kind === 'hand-off' && payload.sequences.some(({ timing }) => timing.migrations > 0)) this.counts.moved++
      if (payload.kind === 'load') this.preemptions = Math.max(this.preemptions, payload.preemptionsTotal)
      onSend!(to, payload)
    }
    this.alive.push(`instance/${id}`)
  }

  get currentRouter(): string {
    return ROUTERS[this.#numRouters - 1]!
  }

  draw(name: string): GenerateMessage {
    const { random } = this
    const tail = Array.from({ length: 1 + random.int(24) }, () => 1 + random.int(900))
    const maxTokens = 1 + random.int(this.faults.migrate > 0 && this.shape.numBlocks >= 60 ? 60 : 20)
    const [owner, other] = random.next() < 0.7 ? [this.alive[0]!, this.alive[1]!] : [this.alive[1]!, this.alive[0]!]
    const message = generateMessage(name, {
      promptIds: random.next() < 0.6 ? [...random.pick(this.prefixes), ...tail] : tail,
      n: random.next() < 0.3 ? 2 + random.int(2) : 1,
      priority: random.int(3),
      cacheSalt: random.next() < 0.1 ? 'other' : '',
      guarded: random.next() < 0.1,
      handOffTo: random.next() < 0.85 ? { instanceId: other.replace('instance/', ''), address: other } : null,
      sampling: {
        maxTokens, seed: random.int(1000), stopTokenIds: random.next() < 0.5 ? Array.from({ length: 150 }, () => random.int(1000)) : [],
        logprobs: random.next() < 0.2 ? 0 : null,
      },
    })
    this.router.submit(message, this.currentRouter, owner)
    return message
  }

  /** Some of what can happen next, in random order. */
  step(): void {
    const { random, network } = this
    network.advance(random.int(6))
    network.deliver()
    for (const driver of network.instances.values()) {
      for (const effectId of driver.pulls.keys()) {
        if (random.next() > 0.5) continue
        network.completePull(driver, effectId, !this.isCalm && random.next() < this.faults.badPull ? random.pick(['failed', 'corrupt'] as const) : 'done')
      }
      if (driver.command !== null && random.next() < 0.7) driver.completeStep(0)
      else if (driver.numInstalls > 0 && driver.command === null) driver.completeInstall()
      this.#expireServes(driver)
    }
    network.deliver()
    if (!this.isCalm) this.#disturb()
  }

  /** Named, or left to the instance; once, or until nothing is left to move. */
  #migrate(): void {
    const { random, router, network } = this
    const place = random.int(2)
    const to = this.alive[1 - place]!
    const requestId = random.next() < 0.5 ? null : random.pick([...router.requests.keys()].slice(-6))
    network.send('migrator/m', this.alive[place]!, { kind: 'migrate', requestId, to: { instanceId: to.replace('instance/', ''), address: to }, forMs: random.int(3) * 40 })
  }

  /** Nobody ever came for an offer: it is withdrawn once in a while. */
  #expireServes(driver: InstanceDriver): void {
    if (this.random.next() > 0.01) return
    const [oldest] = driver.serves.keys()
    if (oldest !== undefined) this.network.expireServe(driver, oldest)
  }

  #delaysMs(): readonly number[] {
    if (this.isCalm) return [0]
    const { loss, double, lateMs } = this.faults
    if (this.random.next() < loss) return []
    const delayMs = lateMs === 0 ? 0 : this.random.int(lateMs)
    return this.random.next() < double ? [delayMs, delayMs + this.random.int(50)] : [delayMs]
  }

  #disturb(): void {
    const { random, router, faults } = this
    const requests = [...router.requests.values()]
    if (requests.length === 0) return
    const request = random.pick(requests)
    if (random.next() < faults.migrate) this.#migrate()
    if (random.next() < 0.2) router.ack(request)
    if (random.next() < faults.abort) router.abort(request, random.next() < 0.5 ? null : random.int(request.choices.length))
    if (random.next() < faults.routerDeath && this.#numRouters < ROUTERS.length) {
      this.#numRouters++
      router.routerGone(ROUTERS[this.#numRouters - 2]!, this.currentRouter)
    }
    if (random.next() < faults.instanceDeath) this.kill(random.int(2))
  }

  kill(place: number): void {
    const address = this.alive[place]!
    const survivor = this.alive[1 - place]!
    this.network.remove(address)
    this.alive.length = 0
    this.start(address.replace(/^instance\/([ab]).*/, '$1'))
    this.alive.push(survivor)
    for (const to of this.network.instances.keys()) this.network.send('cluster', to, { kind: 'member-gone', address })
    for (const request of this.router.requests.values()) if (request.owner === address) this.router.recover(request, survivor)
  }

  /** What a router does about requests that make no progress. */
  nudge(): void {
    for (const request of this.router.requests.values()) {
      if (this.router.isOver(request)) continue
      const silentMs = this.network.nowMs - request.progressMs
      if (silentMs > 14_000) this.router.recover(request, this.random.pick(this.alive))
      else if (request.lostAtMs !== null) this.router.locate(request)
      else this.router.resend(request)
    }
  }
}

function run(seed: number, faults: Partial<Faults>, options: InstanceFixtureOptions): Scene {
  const scene = new Scene(seed, faults, options)
  const { random, router, network } = scene
  while (router.requests.size < NUM_REQUESTS) {
    if (random.next() < 0.2) scene.draw(`r${router.requests.size}`)
    scene.step()
  }
  scene.isCalm = true
  const isLive = (request: StubRequest): boolean => !router.isOver(request)
  for (let round = 0; [...router.requests.values()].some(isLive); round++) {
    if (round > 20_000) throw new Error(`${[...router.requests.values()].filter(isLive).map(({ message }) => message.requestId).join(', ')} never ended`)
    for (let turn = 0; turn < 20; turn++) scene.step()
    if (round % 20 === 19) network.advance(500)
    if (round % 10 === 9) scene.nudge()
  }
  for (const request of router.requests.values()) checkTokens(request, scene.shape)
  for (let second = 0; second < 40; second++) {
    network.advance(1000)
    for (let round = 0; round < 60; round++) network.round()
  }
  for (const driver of network.instances.values()) checkNothingHeld(driver, scene)
  return scene
}

function checkTokens(request: StubRequest, shape: typeof SMALL_SHAPE): void {
  request.choices.forEach(({ tokenIds, isFinished }, index) => {
    const expected = expectedChoice(request.message, index, shape)
    const isWhole = isFinished || !(request.isAborted || request.abortedChoices.has(index))
    assert.deepEqual(tokenIds, isWhole ? expected : expected.slice(0, tokenIds.length), `${request.message.requestId}#${index}`)
  })
}

function checkNothingHeld(driver: InstanceDriver, scene: Scene): void {
  driver.onSend = null
  driver.deliver({ kind: 'hello' })
  const report = driver.sent.at(-1)!.payload as LoadMessage
  scene.preemptions = Math.max(scene.preemptions, report.preemptionsTotal)
  assert.deepEqual([report.numRunning, report.numWaiting, report.freeBlocks + report.cachedBlocks], [0, 0, report.totalBlocks])
  assert.deepEqual([driver.engine.numLive, driver.serves.size, driver.pulls.size, driver.numInstalls], [0, 0, 0, 0])
}

for (const [place, [name, faults, options]] of SCENES.entries()) {
  test(`${NUM_REQUESTS} requests handed over: ${name}`, (t) => {
    const seed = testSeed(7100 + place)
    try {
      const { counts, preemptions, router } = run(seed, faults, options)
      const numRecoveries = [...router.requests.values()].reduce((sum, request) => sum + request.numRecoveries, 0)
      t.diagnostic(`seed ${seed}: ${counts.taken} taken, ${counts.declined} declined, ${counts.offers} offers, ${counts.moved} hand-offs of live requests, ${preemptions} preemptions, ${numRecoveries} recoveries, ${router.numAttached} attached`)
      if (faults.migrate !== undefined) assert.ok(counts.moved > 10, `live requests moved (${counts.moved})`)
      assert.ok(counts.taken > 20, `requests were handed over (${counts.taken})`)
      const isLossless = !faults.loss && !faults.routerDeath && !faults.instanceDeath
      if (isLossless) assert.equal(numRecoveries, 0, 'nothing had to be recovered')
      if (options.shape?.numBlocks === 34) assert.ok(preemptions > 0, 'preemptions happened')
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
  })
}
