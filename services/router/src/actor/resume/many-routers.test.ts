import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { codes, finishOf, requestOf, Rig } from '../fixtures/router-rig.ts'
import { VirtualFleet } from '../fixtures/virtual-fleet.ts'
import type { FleetClient } from '../fixtures/virtual-fleet.ts'

const NUM_REQUESTS = 8
const STEP_MS = 100
const ALPHABET = [...codes('abc'), 98, 200, 201]

/** What an undisturbed router tells of these tokens. */
function undisturbed(tokenIds: readonly number[], stop: readonly string[]): { text: string; tokenIds: number[]; finish: string | null } {
  const rig = new Rig()
  rig.load('a')
  const client = rig.submit({ stop })
  rig.tokens('r1', { tokenIds, finish: finishOf('length') })
  return { text: rig.text(client), tokenIds: rig.tokenIds(client), finish: rig.deltas(client).at(-1)!.finish }
}

const isFinished = (client: FleetClient): boolean => client.completionTokens !== null

function play(seed: number): VirtualFleet {
  const random = seededRandom(seed)
  const truths = new Map<string, readonly number[][]>()
  const fleet = new VirtualFleet(random, (requestId, sequence) => truths.get(requestId)![sequence]!)
  for (let index = 0; index < 2; index += 1) fleet.addRouter()
  for (const role of ['prefill', 'prefill', 'decode', 'decode'] as const) fleet.addInstance(role)
  fleet.run(50)
  fleet.lossRatio = random.pick([0, 0.02, 0.1])
  for (let round = 0; round < 6000 && !(fleet.clients.length === NUM_REQUESTS && fleet.clients.every(isFinished)); round += 1) {
    const requestId = `r${fleet.clients.length}`
    if (fleet.clients.length < NUM_REQUESTS && random.int(3) === 0) {
      const n = 1 + random.int(2)
      truths.set(requestId, Array.from({ length: n }, () => Array.from({ length: 1 + random.int(25) }, () => random.pick(ALPHABET))))
      fleet.submit(requestOf({ requestId, n, stop: random.pick([[], ['abc'], ['cc', 'b€']]) }))
    }
    disturb(fleet, random.int(round < 400 ? 30 : 10_000), (items) => random.pick(items))
    for (const client of fleet.clients) if (client.connection === null && !isFinished(client) && random.int(4) === 0) fleet.connect(client)
    for (const instance of fleet.instances.values()) {
      instance.step()
      if (round % 2 === 0) instance.report()
    }
    fleet.run(1 + random.int(STEP_MS))
  }
  check(fleet, truths, `seed ${seed}`)
  return fleet
}

function disturb(fleet: VirtualFleet, roll: number, pick: <T>(items: readonly T[]) => T): void {
  const connected = fleet.clients.filter((client) => client.connection !== null && !isFinished(client))
  if (roll === 0) {
    fleet.kill(pick([...fleet.routers.keys()]))
    fleet.addRouter()
  } else if (roll === 1) {
    const victim = pick([...fleet.instances.values()])
    fleet.kill(victim.address)
    fleet.addInstance(victim.role === 'prefill' ? 'prefill' : 'decode')
  } else if (roll === 2) pick([...fleet.instances.values()]).restart()
  else if (roll < 7 && connected.length > 0) fleet.breakOff(pick(connected), roll % 2 === 0)
}

function check(fleet: VirtualFleet, truths: ReadonlyMap<string, readonly number[][]>, label: string): void {
  for (const client of fleet.clients) {
    const { requestId, stop } = client.request
    // A router that has just begun may refuse what is new; it refuses no resume.
    if (client.error !== null) assert.equal(client.error.reason, 'no_instance', `${label}: ${requestId}`)
    assert.ok(isFinished(client), `${label}: ${requestId} never finished: ${JSON.stringify(client.error)}, ${client.numResumes} resumes`)
    const expected = truths.get(requestId)!.map((tokenIds) => undisturbed(tokenIds, stop))
    const got = expected.map((_, index) => ({ text: client.texts[index], tokenIds: client.tokenIds[index], finish: client.finishes[index] }))
    assert.deepEqual(got, expected, `${label}: ${requestId} after ${client.numResumes} resumes`)
    assert.equal(client.completionTokens, expected.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0), `${label}: usage of ${requestId}`)
  }
  fleet.lossRatio = 0
  fleet.closeOldConnections()
  for (let round = 0; round < 300; round += 1) {
    for (const instance of fleet.instances.values()) instance.step()
    fleet.run(STEP_MS)
  }
  for (const { actor } of fleet.routers.values()) for (const [name, size] of Object.entries(actor.sizes())) assert.equal(size, 0, `${label}: ${name} holds ${size}`)
  for (const instance of fleet.instances.values()) assert.equal(instance.numJobs, 0, `${label}: ${instance.id} holds ${instance.numJobs} requests`)
}

test('every token reaches its client once, whatever is lost, killed, and resumed anywhere at any token', () => {
  const first = testSeed(1)
  const clients = Array.from({ length: 40 }, (_, index) => play(first + index)).flatMap((fleet) => fleet.clients)
  // The schedules were as wild as they claim.
  const numResumes = clients.reduce((sum, client) => sum + client.numResumes, 0)
  assert.ok(numResumes > 500, `${numResumes} resumes`)
})
