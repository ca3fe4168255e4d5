import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RubatoError } from '@rubato/config'
import { viewOf } from './fixtures/scripted-cluster.ts'
import { findInstance, nameOf } from './instance-names.ts'

const VIEWS = [viewOf('d1@7f3a'), viewOf('d2@01'), viewOf('d2@02'), viewOf('plain')]

function refusal(given: string): RubatoError {
  try {
    findInstance(VIEWS, given)
  } catch (error) {
    assert.ok(error instanceof RubatoError)
    return error
  }
  assert.fail(`${given} was found`)
}

test('the nonce is what follows the last @', () => {
  assert.deepEqual(['d1@7f3a', 'a@b@c', 'plain', '@x'].map(nameOf), ['d1', 'a@b', 'plain', ''])
})

test('an id finds its instance, and so does a name that only one has', () => {
  for (const [given, id] of [['d1@7f3a', 'd1@7f3a'], ['d1', 'd1@7f3a'], ['d2@02', 'd2@02'], ['plain', 'plain']] as const) {
    assert.equal(findInstance(VIEWS, given).instanceId, id)
  }
})

test('what nobody is called lists the names there are, each once', () => {
  for (const given of ['d3', 'd1@dead', '7f3a', 'D1']) {
    const { code, message } = refusal(given)
    assert.equal(code, 'not_found')
    assert.match(message, /known: d1, d2, plain\.$/)
  }
  assert.throws(() => findInstance([], 'd1'), /known: none/)
  const many = Array.from({ length: 25 }, (_, index) => viewOf(`i${index}@1`))
  assert.throws(() => findInstance(many, 'x'), /and 5 more/)
})

test('a name that several have asks for the id', () => {
  const { code, message } = refusal('d2')
  assert.equal(code, 'failed_precondition')
  assert.match(message, /d2@01, d2@02/)
})

test('nothing given is the caller\'s mistake', () => {
  assert.deepEqual([refusal('').code, refusal('').field], ['invalid_argument', 'instance'])
})
