import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Packr } from 'msgpackr'
import { seededRandom, testSeed } from '@rubato/testing'
import type { SeededRandom } from '@rubato/testing'
import { PROTOCOL_MAJOR, PROTOCOL_MINOR } from '../protocol.ts'
import { WIRE_STRUCTURES } from './wire-structures.ts'
import { WireCodec } from './wire.ts'

/** One sequence's token of a step, built in the order in which the instance builds it. */
function tokenRun(requestId: string, firstIndex: number) {
  return { requestId, epoch: { recovery: 0, hop: 1 }, sequence: 0, firstIndex, tokenIds: [31_000 + firstIndex], logprobs: null, finish: null }
}

function tokensMessage(numSequences: number) {
  const runs = Array.from({ length: numSequences }, (_, i) => tokenRun(`cmpl-${String(i).padStart(12, '0')}`, i))
  return { kind: 'tokens', instanceId: 'd1@k3x9q2', incarnation: 1, runs }
}

function randomPayload(random: SeededRandom, depth = 0): unknown {
  switch (random.int(depth > 3 ? 7 : 10)) {
    case 0: return null
    case 1: return random.int(2) === 1
    case 2: return random.int(2 ** 31) - 2 ** 30
    case 3: return random.normal()
    case 4: return Number.MAX_SAFE_INTEGER - random.int(1000)
    case 5: return 'aé😀'.repeat(random.int(20))
    case 6: return Uint8Array.from({ length: random.int(40) }, () => random.int(256))
    case 7: return Array.from({ length: random.int(20) }, () => randomPayload(random, depth + 1))
    default: {
      // Agreed structures, their prefixes, and keys of the moment.
      const agreed = random.pick(WIRE_STRUCTURES)
      const keys = random.int(3) === 0 ? Array.from({ length: random.int(6) }, () => `key${random.int(200)}`) : agreed.slice(0, random.int(2) === 0 ? agreed.length : random.int(agreed.length + 1))
      return Object.fromEntries(keys.map((key) => [key, randomPayload(random, depth + 1)]))
    }
  }
}

test('whatever a process sends another reads as it was, in any order', () => {
  const seed = testSeed(41)
  const random = seededRandom(seed)
  const sender = new WireCodec()
  const receivers = [new WireCodec(), new WireCodec()]
  for (let i = 0; i < 2000; i++) {
    const payload = randomPayload(random)
    const decoded = random.pick(receivers).decode(sender.encode('instance/d1@k3x9q2', payload))
    assert.deepEqual(decoded, { kind: 'message', from: 'instance/d1@k3x9q2', payload }, `seed ${seed}, message ${i}`)
  }
})

test('a step\'s tokens take 72 bytes, and 30 for each further sequence with an id of 17 characters', () => {
  const codec = new WireCodec()
  const sizes = [1, 2, 11].map((numSequences) => codec.encode('instance/d1@k3x9q2', tokensMessage(numSequences)).length)
  assert.deepEqual(sizes, [72, 102, 372])
})

test('a field that only the sender\'s minor knows is read and ignored, one that is missing is missing', () => {
  const codec = new WireCodec()
  const newer = { ...tokenRun('r', 5), futureField: { deep: [1] } }
  const { finish: _finish, ...older } = tokenRun('r', 5)
  for (const payload of [newer, older]) assert.deepEqual(codec.decode(codec.encode('a', payload)), { kind: 'message', from: 'a', payload })
})

test('another major is told by its version and its sender, and not decoded', () => {
  const bytes = new Packr({ useRecords: false }).pack([PROTOCOL_MAJOR + 1, 0, 'router/r1@x', { anything: 1 }])
  assert.deepEqual(new WireCodec().decode(bytes), { kind: 'foreign', from: 'router/r1@x', major: PROTOCOL_MAJOR + 1 })
  const longName = `router/${'r'.repeat(60)}`
  assert.deepEqual(new WireCodec().decode(new Packr().pack([PROTOCOL_MAJOR, 0])), { kind: 'undecodable', reason: 'no sender' })
  assert.deepEqual(new WireCodec().decode(new Packr().pack([9, 0, longName, 1])), { kind: 'foreign', from: longName, major: 9 })
})

test('damaged bytes are undecodable or another message, and never throw', () => {
  const seed = testSeed(43)
  const random = seededRandom(seed)
  const codec = new WireCodec()
  const whole = codec.encode('instance/d1@k3x9q2', tokensMessage(3))
  const kinds = new Set<string>()
  for (let i = 0; i < 3000; i++) {
    const bytes = Uint8Array.from(whole.subarray(0, random.int(3) === 0 ? random.int(whole.length) : whole.length))
    for (let k = random.int(4); k >= 0; k--) if (bytes.length > 0) bytes[random.int(bytes.length)] = random.int(256)
    kinds.add(codec.decode(bytes).kind)
  }
  assert.ok(kinds.has('undecodable') && kinds.has('foreign'), `seed ${seed}: ${[...kinds].join()}`)
  assert.deepEqual(codec.decode(whole), { kind: 'message', from: 'instance/d1@k3x9q2', payload: tokensMessage(3) })
})

test('a sender states its own version', () => {
  assert.deepEqual([...new WireCodec().encode('a', null).subarray(0, 3)], [0x94, PROTOCOL_MAJOR, PROTOCOL_MINOR])
})
