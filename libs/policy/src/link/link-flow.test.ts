import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import type { LinkControl } from './link-control.ts'
import { LinkFlow } from './link-flow.ts'
import type { Want } from './link-flow.ts'

const FRAME_BYTES = 1_000
const WINDOW_BYTES = 5_000
const CONTROL: LinkControl = {
  numLanes: 3,
  frameBytes: FRAME_BYTES,
  windowBytes: WINDOW_BYTES,
  encoding: 'raw',
  wireRatio: () => 1,
  asked: (_isIdle, nowMs) => ({ askedMs: nowMs, deliveredBytes: 0, deliveredMs: nowMs, firstAskedMs: nowMs }),
  received: () => {},
  echoed: () => {},
}

test('whatever is lost or spoiled, every byte comes once, and no more is under way than may be', () => {
  const seed = testSeed(17)
  const random = seededRandom(seed)
  for (let run = 0; run < 50; run++) {
    const flow = new LinkFlow(CONTROL)
    const lanes = new Set([0, 1, 2])
    for (const lane of lanes) flow.laneOpened(lane)
    const sizes = new Map(Array.from({ length: 4 }, (_, transferId) => [transferId, 1 + random.int(20_000)] as const))
    const missing = new Map([...sizes].map(([transferId, numBytes]) => [transferId, new Uint8Array(numBytes).fill(1)]))
    for (const [transferId, numBytes] of sizes) flow.begin({ transferId, numBytes })
    let underWay: Want[] = []
    const arrive = ({ transferId, firstByte, numBytes }: Want, nowMs: number, why: string): void => {
      const place = missing.get(transferId)!.subarray(firstByte, firstByte + numBytes)
      assert.ok(place.byteLength === numBytes && place.every((byte) => byte === 1), why)
      place.fill(0)
      if (flow.received({ transferId, firstByte, wireBytes: numBytes, encodeMs: 0 }, nowMs)) flow.end(transferId)
    }
    let nextLane = 3
    for (let step = 0; !flow.isIdle; step++) {
      const why = `seed ${seed}, run ${run}, step ${step}`
      assert.ok(step < 10_000, why)
      for (const want of flow.wants(step)) {
        assert.ok(lanes.has(want.laneId) && (want.laneId !== 0 || lanes.size === 1), why)
        underWay.push(want)
      }
      assert.ok(underWay.reduce((sum, { numBytes }) => sum + numBytes, 0) < WINDOW_BYTES + 1.25 * FRAME_BYTES, why)
      const what = random.int(10)
      if (what === 0 && lanes.size > 1) {
        const lane = random.pick([...lanes].slice(1))
        lanes.delete(lane)
        flow.laneLost(lane)
        underWay = underWay.filter(({ laneId }) => laneId !== lane)
      } else if (what === 1) {
        lanes.add(nextLane)
        flow.laneOpened(nextLane++)
      } else if (underWay.length > 0) {
        const [want] = underWay.splice(random.int(underWay.length), 1) as [Want]
        if (what === 2) flow.spoiled(want.transferId, want.firstByte)
        else arrive(want, step, why)
      }
    }
    for (const bytes of missing.values()) assert.ok(bytes.every((byte) => byte === 0), `seed ${seed}, run ${run}`)
  }
})

test('transfers are asked for in the order in which they came', () => {
  const flow = new LinkFlow(CONTROL)
  flow.laneOpened(0)
  flow.begin({ transferId: 7, numBytes: 3_000 })
  flow.begin({ transferId: 3, numBytes: 3_000 })
  assert.deepEqual(flow.wants(0).map(({ transferId, firstByte }) => [transferId, firstByte]), [[7, 0], [7, 1_000], [7, 2_000], [3, 0], [3, 1_000]])
})
