import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LinkBook } from './link-book.ts'

test('the estimate follows recent pulls, each weighing as much as its bytes', () => {
  const book = new LinkBook()
  assert.equal(book.pulled('a', 'tcp', { numBytes: 1_000_000, transferMs: 10 }), 1e8)
  // 0.8 of the first: (800,000 + 500,000) bytes in (8 + 2) ms.
  assert.equal(Math.round(book.pulled('a', 'tcp', { numBytes: 500_000, transferMs: 2 })), 130_000_000)
  for (let pull = 0; pull < 60; pull++) book.pulled('a', 'tcp', { numBytes: 1_000_000, transferMs: 1 })
  assert.ok(Math.abs(book.pulled('a', 'tcp', { numBytes: 1_000_000, transferMs: 1 }) / 1e9 - 1) < 1e-3)
})

test('peers do not share an estimate, and the one longest without a pull is forgotten', () => {
  const book = new LinkBook()
  book.pulled('a', 'tcp', { numBytes: 1000, transferMs: 1 })
  assert.equal(book.pulled('b', 'tcp', { numBytes: 5000, transferMs: 1 }), 5e6)
  for (let peer = 0; peer < 256; peer++) book.pulled(`peer ${peer}`, 'tcp', { numBytes: 1000, transferMs: 1 })
  assert.equal(book.pulled('a', 'tcp', { numBytes: 9000, transferMs: 1 }), 9e6)
})

test('a pull too short for the clock has a finite rate', () => {
  assert.ok(Number.isFinite(new LinkBook().pulled('a', 'tcp', { numBytes: 10, transferMs: 0 })))
})

test('pulls, failures and bytes are counted by peer, with what they went over last', () => {
  const book = new LinkBook()
  book.pulled('a', 'grpc', { numBytes: 10, transferMs: 1 })
  book.failed('b', 'tcp')
  book.pulled('a', 'unix', { numBytes: 5, transferMs: 1 })
  assert.deepEqual(book.counts, [
    { kvAddress: 'b', kind: 'tcp', numPulled: 0, numFailed: 1, pulledBytes: 0 },
    { kvAddress: 'a', kind: 'unix', numPulled: 2, numFailed: 0, pulledBytes: 15 },
  ])
})
