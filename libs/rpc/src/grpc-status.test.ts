import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { InvalidArgument, RubatoError } from '@rubato/config'
import { decodeErrorDetails, encodeErrorDetails } from './error-details.ts'
import { errorDetailsOf, failureOf, statusOf } from './grpc-status.ts'

suite('error mapping', () => {
  test('google.rpc details survive encoding, each present or absent', () => {
    for (const reason of ['queue_full', null]) {
      for (const field of ['sampling.top_p', null]) {
        for (const retryAfterMs of [0, 250, 61_500, null]) {
          const details = { code: 8, message: 'füll', reason, field, retryAfterMs }
          assert.deepEqual(decodeErrorDetails(encodeErrorDetails(details)), details)
        }
      }
    }
  })

  test('the bytes are those of google.rpc.Status', () => {
    // Status{code: 3, message: "no", details: [Any{BadRequest{field_violations: [{field: "n", description: "no"}]}}]}
    const type = Buffer.from('type.googleapis.com/google.rpc.BadRequest')
    const violation = Buffer.from([0x0a, 1, 0x6e, 0x12, 2, 0x6e, 0x6f])
    const badRequest = Buffer.from([0x0a, violation.length, ...violation])
    const any = Buffer.from([0x0a, type.length, ...type, 0x12, badRequest.length, ...badRequest])
    const expected = Buffer.from([0x08, 3, 0x12, 2, 0x6e, 0x6f, 0x1a, any.length, ...any])
    assert.deepEqual(encodeErrorDetails({ code: 3, message: 'no', reason: null, field: 'n', retryAfterMs: null }), expected)
  })

  test('a RubatoError keeps its code, field and hint', () => {
    const end = statusOf(failureOf(new InvalidArgument('n', 'too many', { retryAfterMs: 5 })))
    assert.deepEqual([end.code, end.details], [status.INVALID_ARGUMENT, 'too many'])
    assert.deepEqual(errorDetailsOf(end.metadata), { code: 3, message: 'too many', reason: 'invalid_argument', field: 'n', retryAfterMs: 5 })
  })

  test('what is no public failure says nothing about itself', () => {
    for (const error of [new Error('/etc/secret'), new RubatoError('checkpoint', '/etc/secret'), 'text', null]) {
      assert.deepEqual(failureOf(error), { code: 'internal', message: 'internal error', field: null, retryAfterMs: null, reason: 'internal' })
    }
  })

  test('a message that no header can carry is cut and repaired', () => {
    const end = statusOf({ code: 'internal', message: `\ud800${'x'.repeat(5000)}`, field: null, retryAfterMs: null, reason: 'r' })
    assert.equal(end.details.length, 1024)
    assert.doesNotThrow(() => encodeURI(end.details))
  })
})
