import { InvalidArgument } from '@rubato/config'
import { seededRandom, testSeed } from '@rubato/testing'
import type { SeededRandom } from '@rubato/testing'
import assert from 'node:assert/strict'
import test from 'node:test'
import { StopMatcher } from './stop-strings.ts'

interface Outcome {
  readonly text: string
  readonly stopped: string | null
}

/** The definition, straight: shortest prefix that ends with a stop string; the longest such stop is cut. */
function naive(text: string, stops: readonly string[]): Outcome {
  for (let end = 1; end <= text.length; end++) {
    const prefix = text.slice(0, end)
    const matching = stops.filter((stop) => prefix.endsWith(stop)).toSorted((a, b) => b.length - a.length)
    const longest = matching[0]
    if (longest !== undefined) return { text: prefix.slice(0, end - longest.length), stopped: longest }
  }
  return { text, stopped: null }
}

/** The longest suffix of the text that is a proper prefix of a stop string. */
function heldBack(text: string, stops: readonly string[]): string {
  let held = ''
  for (const stop of stops) {
    const prefixes = Array.from({ length: stop.length }, (_, length) => stop.slice(0, length))
    for (const prefix of prefixes) if (prefix.length > held.length && text.endsWith(prefix)) held = prefix
  }
  return held
}

function randomText(random: SeededRandom, alphabet: readonly string[], maxLength: number): string {
  return Array.from({ length: 1 + random.int(maxLength) }, () => random.pick(alphabet)).join('')
}

/** Feeds the text in random pieces (empty ones too) and checks after each that exactly what may still be cut is held back. */
function pushInPieces(text: string, stops: readonly string[], random: SeededRandom): Outcome {
  const matcher = new StopMatcher(stops)
  let emitted = ''
  for (let at = 0; at < text.length;) {
    const end = Math.min(text.length, at + random.int(6))
    const { emit, stopped } = matcher.push(text.slice(at, end))
    emitted += emit
    if (stopped !== null) return { text: emitted + matcher.flush(), stopped }
    at = end
    assert.equal(emitted + heldBack(text.slice(0, end), stops), text.slice(0, end))
  }
  return { text: emitted + matcher.flush(), stopped: null }
}

test('matches the definition for any split, and holds back no more than it must', (context) => {
  const seed = testSeed(20_264)
  context.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  for (let run = 0; run < 3000; run++) {
    const alphabet = ['a', 'b', '👍', 'é'].slice(0, 2 + random.int(3))
    const stops = Array.from({ length: random.int(7) }, () => randomText(random, alphabet, 6))
    const text = randomText(random, alphabet, 40)
    assert.deepEqual(pushInPieces(text, stops, random), naive(text, stops), `seed ${seed}, run ${run}, stops ${JSON.stringify(stops)}, text ${text}`)
  }
})

test('releases what turned out not to be a stop string', () => {
  const matcher = new StopMatcher(['\n\nUser:'])
  assert.deepEqual(matcher.push('Hello\n'), { emit: 'Hello', stopped: null })
  assert.deepEqual(matcher.push('\nUs'), { emit: '', stopped: null })
  assert.deepEqual(matcher.push('ed'), { emit: '\n\nUsed', stopped: null })
  assert.deepEqual(matcher.push('\n\n\nUser: x'), { emit: '\n', stopped: '\n\nUser:' })
  assert.equal(matcher.flush(), '')
})

test('of several stops that end together the longest is cut', () => {
  assert.deepEqual(new StopMatcher(['b', 'ab']).push('xab'), { emit: 'x', stopped: 'ab' })
  assert.deepEqual(new StopMatcher(['abcd', 'b']).push('abcd'), { emit: 'a', stopped: 'b' })
})

test('drops text after a stop', () => {
  const matcher = new StopMatcher(['.'])
  assert.deepEqual(matcher.push('One. Two.'), { emit: 'One', stopped: '.' })
  assert.deepEqual(matcher.push('Three'), { emit: '', stopped: '.' })
})

test('passes everything through without stops', () => {
  const matcher = new StopMatcher([])
  assert.deepEqual(matcher.push('abc'), { emit: 'abc', stopped: null })
  assert.equal(matcher.flush(), '')
})

test('flush releases the held text', () => {
  const matcher = new StopMatcher(['###'])
  assert.equal(matcher.push('end ##').emit, 'end ')
  assert.equal(matcher.flush(), '##')
})

test('refuses empty and too many stop strings', () => {
  const isStopError = (error: unknown) => error instanceof InvalidArgument && error.field === 'stop'
  assert.throws(() => new StopMatcher(['a', '']), isStopError)
  assert.throws(() => new StopMatcher(Array.from({ length: 17 }, (_, index) => String(index))), isStopError)
  assert.equal(new StopMatcher(Array.from({ length: 16 }, (_, index) => String(index))).push('15').stopped, '1')
})
