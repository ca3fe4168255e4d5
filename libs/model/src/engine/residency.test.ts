import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import type { SeededRandom } from '@rubato/testing'
import { Arena, arenaBytes } from './arena.ts'
import { Residency } from './residency.ts'

const SHAPE = { numLayers: 2, numKvHeads: 2, headDim: 2, blockSize: 8, numBlocks: 120 }

interface Held {
  readonly blocks: number[]
  claimedBlocks: number
  decoding: boolean
}

/** A caller that obeys the residency's rules and writes a distinct number into every block it fills. */
class Caller {
  readonly arena = new Arena(SHAPE, new SharedArrayBuffer(arenaBytes(SHAPE)))
  readonly residency = new Residency(this.arena)
  readonly held: Held[] = []
  /** Blocks that nobody holds; `cached` ones must keep their contents until they are claimed afresh. */
  readonly free: number[] = Array.from({ length: SHAPE.numBlocks }, (_, block) => block)
  readonly cached: number[] = []
  readonly #contents = new Map<number, number>()
  readonly #random: SeededRandom
  #nextValue = 1

  constructor(random: SeededRandom) {
    this.#random = random
  }

  #write(block: number): void {
    const value = this.#nextValue++
    const { numKvHeads, headDim, blockSize } = SHAPE
    const rows = new Float32Array(this.arena.numPlanes * numKvHeads * blockSize * headDim).fill(value)
    this.arena.writeTokens(block, 0, blockSize, { rows, request: 0, numRequests: 1, width: blockSize, from: 0 })
    this.#contents.set(block, value)
  }

  /** Starts a sequence on some cached blocks and some fresh ones. */
  start(numHits: number, numFresh: number): Held {
    const hits = this.cached.splice(0, numHits)
    const fresh = this.#take(numFresh)
    const sequence = { blocks: [...hits, ...fresh], claimedBlocks: hits.length + fresh.length, decoding: false }
    for (const block of hits) this.residency.claim(block, false)
    for (const block of fresh) {
      this.residency.claim(block, true)
      this.#write(block)
    }
    this.held.push(sequence)
    return sequence
  }

  #take(count: number): number[] {
    while (this.free.length < count) this.free.push(...this.cached.splice(this.#random.int(this.cached.length), 1))
    return Array.from({ length: count }, () => this.free.splice(this.#random.int(this.free.length), 1)[0]!)
  }

  decode(sequence: Held): void {
    if (!sequence.decoding) for (const block of sequence.blocks) this.residency.activate(block)
    sequence.decoding = true
  }

  grow(sequence: Held): void {
    const [block] = this.#take(1)
    this.residency.claim(block!, true)
    this.#write(block!)
    if (sequence.decoding) this.residency.activate(block!)
    sequence.blocks.push(block!)
    sequence.claimedBlocks++
  }

  end(sequence: Held, keep: boolean): void {
    this.held.splice(this.held.indexOf(sequence), 1)
    for (const block of sequence.blocks) this.residency.release(block, sequence.decoding)
    ;(keep ? this.cached : this.free).push(...sequence.blocks)
  }

  settle(): void {
    this.residency.settle(this.held.filter(({ decoding }) => decoding))
  }

  get room(): number {
    return this.free.length + this.cached.length
  }

  /** Every block that matters has its contents, wherever it lies. */
  assertContents(): void {
    this.arena.assertIntegrity()
    for (const block of [...this.cached, ...this.held.flatMap(({ blocks }) => blocks)]) {
      const values = new Float32Array(this.arena.exportBlocks([block]).buffer)
      assert.ok(values.every((value) => value === this.#contents.get(block)), `block ${block} lost its contents`)
    }
  }

  highestActiveSlot(): number {
    return Math.max(0, ...this.held.filter(({ decoding }) => decoding).flatMap(({ blocks }) => blocks.map((block) => this.arena.slotOf(block))))
  }
}

function live(caller: Caller, random: SeededRandom): void {
  const kind = random.int(6)
  const sequence = caller.held[random.int(Math.max(1, caller.held.length))]
  if (kind < 2 && caller.room >= 12) caller.start(random.int(Math.min(4, caller.cached.length + 1)), 1 + random.int(8))
  else if (sequence === undefined) return
  else if (kind === 2) caller.decode(sequence)
  else if (kind === 3 && caller.room > 0) caller.grow(sequence)
  else if (kind === 4) caller.settle()
  else if (kind === 5 && caller.held.length > 4) caller.end(sequence, random.next() < 0.7)
}

test('blocks keep their contents, and slots their one block, through random lives', (t) => {
  const seed = testSeed(31)
  t.diagnostic(`seed ${seed}`)
  for (let life = 0; life < 20; life++) {
    const random = seededRandom(seed + life)
    const caller = new Caller(random)
    for (let step = 0; step < 300; step++) {
      live(caller, random)
      if (step % 10 === 0) caller.assertContents()
    }
    caller.assertContents()
  }
})

test('with nine tenths of the arena cold, active blocks come to lie within 1.25 times their number of slots', (t) => {
  const seed = testSeed(47)
  t.diagnostic(`seed ${seed}`)
  for (let life = 0; life < 20; life++) {
    const random = seededRandom(seed + life)
    const caller = new Caller(random)
    for (let step = 0; step < 300; step++) live(caller, random)
    while (caller.held.length > 0) caller.end(caller.held[0]!, true)
    while (caller.room > 0.95 * SHAPE.numBlocks) caller.start(Math.min(2, caller.cached.length), 3)
    while (caller.room > 0.9 * SHAPE.numBlocks) caller.start(0, 1)
    for (const sequence of caller.held) caller.decode(sequence)
    const numActive = caller.held.reduce((sum, { blocks }) => sum + blocks.length, 0)
    for (let step = 0; step < 4; step++) caller.settle()
    assert.ok(caller.highestActiveSlot() <= 1.25 * numActive + 4, `life ${life}: slot ${caller.highestActiveSlot()} for ${numActive} blocks`)
    caller.assertContents()
  }
})

test('fresh blocks go to the lowest slots that nobody holds', () => {
  const caller = new Caller(seededRandom(1))
  const first = caller.start(0, 5)
  const second = caller.start(0, 3)
  assert.deepEqual([...first.blocks, ...second.blocks].map((block) => caller.arena.slotOf(block)), [1, 2, 3, 4, 5, 6, 7, 8])
  caller.end(first, true)
  assert.deepEqual(caller.start(0, 2).blocks.map((block) => caller.arena.slotOf(block)), [1, 2])
  caller.assertContents()
})

test('a shared block stays in place for its other owner, and stays active until the last one leaves', () => {
  const caller = new Caller(seededRandom(2))
  const owner = caller.start(0, 4)
  const sharer: Held = { blocks: owner.blocks.slice(0, 2), claimedBlocks: 2, decoding: false }
  for (const block of sharer.blocks) caller.residency.claim(block, false)
  caller.held.push(sharer)
  caller.decode(owner)
  caller.decode(sharer)
  assert.equal(caller.residency.highestDenseSlot, 5 + 4)
  caller.residency.release(owner.blocks[0]!, true)
  assert.equal(caller.residency.highestDenseSlot, 5 + 4)
  caller.residency.release(sharer.blocks[0]!, true)
  assert.equal(caller.residency.highestDenseSlot, 3 + 4)
})

test('exported blocks are installed as they were, in any order and at any alignment', () => {
  const caller = new Caller(seededRandom(3))
  const { blocks } = caller.start(0, 6)
  const bytes = caller.arena.exportBlocks(blocks)
  const other = new Arena(SHAPE, new SharedArrayBuffer(arenaBytes(SHAPE)))
  const shifted = new Uint8Array(bytes.length + 1).subarray(1)
  shifted.set(bytes)
  other.installBlocks([40, 7, 99, 3, 12, 55], shifted)
  assert.deepEqual(other.exportBlocks([40, 7, 99, 3, 12, 55]), bytes)
  assert.deepEqual(other.exportBlocks([99]), caller.arena.exportBlocks([blocks[2]!]))
  assert.throws(() => other.installBlocks([1], bytes), /expected/)
  other.assertIntegrity()
})
