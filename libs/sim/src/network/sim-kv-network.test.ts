import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EffectPort, EffectRun, Outcome } from '@rubato/actor'
import type { KvPulled } from '@rubato/instance'
import { SimProcess } from '../process/sim-process.ts'
import { SimWorld } from '../sim-world.ts'
import { SimBus } from './sim-bus.ts'
import { SimKvNetwork } from './sim-kv-network.ts'

const BLOCK_BYTES = 1_000_000

/** A run as an actor host keeps it: when it was settled, and how. */
class Settled implements EffectRun {
  readonly #world: SimWorld
  outcome: Outcome | null = null
  atMs = -1
  #abort: (() => void) | null = null

  constructor(world: SimWorld) {
    this.#world = world
  }

  get signal(): AbortSignal {
    throw new Error('unused')
  }

  onAbort(listener: () => void): void {
    this.#abort = listener
  }

  complete(outcome: Outcome): void {
    if (this.outcome !== null) return
    this.outcome = outcome
    this.atMs = this.#world.nowMs()
  }

  abort(): void {
    this.#abort?.()
  }
}

/** Peers with links of 1 GB/s and 1 ms; a block's bytes are its id. */
function rig(names: readonly string[]) {
  const world = new SimWorld({ seed: 2 })
  const bus = new SimBus({ world })
  const network = new SimKvNetwork({ world })
  const peers = names.map((name) => {
    const process = new SimProcess(world, name)
    const place = bus.place(name)
    const ports = network.join({ kvAddress: name, process, place, bytesPerSec: 1e9, latencyMs: 1, blockBytes: BLOCK_BYTES, readBlocks: (blockIds) => Uint8Array.from(blockIds) })
    const perform = (kind: 'kv-serve' | 'kv-pull', fields: object): Settled => {
      const run = new Settled(world)
      ;(ports[kind] as EffectPort).perform({ kind, id: 1, requestId: 'q', epoch: { recovery: 0, hop: 0 }, ...fields } as never, run)
      return run
    }
    return {
      process, place,
      serve: (token: string, blockIds: readonly number[]) => perform('kv-serve', { token, blockIds }),
      pull: (kvAddress: string, token: string, numBlocks = 1) => perform('kv-pull', { kvAddress, token, numBlocks }),
    }
  })
  return { world, network, peers }
}

function codeOf({ outcome }: Settled): string {
  if (outcome === null) return 'open'
  return outcome.kind === 'failed' ? outcome.error.code : outcome.kind
}

test('a pull yields the contents after latency and size over bandwidth, and the token opens no second one', () => {
  const { world, network, peers: [a, b] } = rig(['a', 'b'])
  const served = a!.serve('t', [7, 8])
  const pulled = b!.pull('a', 't', 2)
  world.runFor(20)
  // 1 ms to ask, 1 ms back, two blocks of 1 MB at 1 GB/s.
  assert.deepEqual([served.atMs, pulled.atMs, codeOf(served)], [4, 4, 'done'])
  const value = pulled.outcome?.kind === 'done' ? (pulled.outcome.value as KvPulled) : null
  assert.deepEqual([value?.bytes, value?.transferMs, value?.bytesPerSec], [Uint8Array.of(7, 8), 4, 5e8])
  assert.deepEqual([network.bytesMoved, network.numOffers], [2 * BLOCK_BYTES, 0])
  const again = b!.pull('a', 't')
  world.runFor(20)
  assert.equal(codeOf(again), 'kv_refused')
})

test('transfers take turns on the sender\'s and on the receiver\'s link', () => {
  const { world, peers: [a, b, c] } = rig(['a', 'b', 'c'])
  a!.serve('to b', [1])
  a!.serve('to c', [2])
  c!.serve('also to b', [3])
  const pulls = [b!.pull('a', 'to b'), c!.pull('a', 'to c'), b!.pull('c', 'also to b')]
  world.runFor(50)
  assert.deepEqual(pulls.map(({ atMs }) => atMs), [3, 5, 5])
})

test('an offer is withdrawn by its cancel, and fails when nobody comes in time', () => {
  const { world, network, peers: [a, b] } = rig(['a', 'b'])
  const withdrawn = a!.serve('t1', [1])
  withdrawn.abort()
  const stale = a!.serve('t2', [1])
  const pulled = b!.pull('a', 't1')
  world.runUntilIdle()
  assert.deepEqual([codeOf(withdrawn), codeOf(pulled), codeOf(stale), stale.atMs], ['cancelled', 'kv_refused', 'kv_not_pulled', 30_000])
  assert.equal(network.numOffers, 0)
})

test('a cut transfer, a dead sender and a pull that was cancelled end both sides', () => {
  for (const fault of ['cut', 'dead', 'cancelled'] as const) {
    const { world, network, peers: [a, b] } = rig(['a', 'b'])
    if (fault === 'cut') network.faults.cutRatio = 1
    const served = a!.serve('t', [1])
    const pulled = b!.pull('a', 't')
    world.runFor(2)
    if (fault === 'dead') a!.process.kill()
    if (fault === 'cancelled') pulled.abort()
    world.runUntilIdle()
    assert.equal(codeOf(pulled), fault === 'cancelled' ? 'cancelled' : 'kv_link_failed', fault)
    // The dead one's effects ended with its actor.
    assert.equal(codeOf(served), fault === 'dead' ? 'open' : 'kv_not_pulled', fault)
    assert.equal(network.bytesMoved, 0)
  }
})

test('nobody listens at the address of a process that died or never was', () => {
  const { world, peers: [a, b] } = rig(['a', 'b'])
  a!.process.kill()
  const pulls = [b!.pull('a', 't'), b!.pull('nowhere', 't')]
  world.runFor(5)
  assert.deepEqual(pulls.map(codeOf), ['kv_link_failed', 'kv_link_failed'])
})

test('who is cut off or stands still is given up after 5 s; who thaws before that goes on', () => {
  const { world, peers: [a, b] } = rig(['a', 'b'])
  a!.serve('t1', [1])
  a!.serve('t2', [1])
  a!.process.freeze(1000)
  const late = b!.pull('a', 't1')
  world.runFor(2000)
  assert.deepEqual([codeOf(late), Math.round(late.atMs)], ['done', 1002])
  a!.place.partition = 1
  const lost = b!.pull('a', 't2')
  world.runFor(10_000)
  assert.deepEqual([codeOf(lost), lost.atMs], ['kv_link_failed', 2000 + 1 + 5000])
  const both = rig(['a', 'b'])
  const [c, d] = both.peers
  c!.place.partition = 3
  d!.place.partition = 3
  c!.serve('t', [1])
  const near = d!.pull('a', 't')
  both.world.runFor(10)
  assert.equal(codeOf(near), 'done')
})
