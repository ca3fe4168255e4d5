import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatTraceparent, parseTraceparent } from './traceparent.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'

test('a header is read and written back as it was', () => {
  for (const flags of ['00', '01']) {
    const header = `00-${TRACE}-${SPAN}-${flags}`
    const parent = parseTraceparent(header)
    assert.deepEqual(parent, { traceId: TRACE, spanId: SPAN, sampled: flags === '01' })
    assert.equal(formatTraceparent(parent!, parent!.sampled), header)
  }
})

test('the other bits of the flags do not matter', () => {
  assert.equal(parseTraceparent(`00-${TRACE}-${SPAN}-ff`)?.sampled, true)
  assert.equal(parseTraceparent(`00-${TRACE}-${SPAN}-fe`)?.sampled, false)
})

test('later versions may say more, version 00 may not', () => {
  assert.equal(parseTraceparent(`cc-${TRACE}-${SPAN}-01-what-the-future-holds`)?.traceId, TRACE)
  assert.equal(parseTraceparent(`cc-${TRACE}-${SPAN}-01`)?.traceId, TRACE)
  assert.equal(parseTraceparent(`00-${TRACE}-${SPAN}-01-more`), null)
  assert.equal(parseTraceparent(`cc-${TRACE}-${SPAN}-01.more`), null)
})

test('whatever breaks a rule is no parent', () => {
  const broken = [
    undefined, '', `ff-${TRACE}-${SPAN}-01`, `00-${'0'.repeat(32)}-${SPAN}-01`, `00-${TRACE}-${'0'.repeat(16)}-01`, `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}`, `00-${TRACE}-${SPAN}-1`, `0-${TRACE}-${SPAN}-01`, `00-${TRACE.slice(1)}-${SPAN}-01`, `00-${TRACE}-${SPAN}-0g`,
    ` 00-${TRACE}-${SPAN}-01`, `00-${TRACE}-${SPAN}-01 `, `00-${TRACE}-${SPAN}-01\n`, `00_${TRACE}_${SPAN}_01`,
  ]
  for (const header of broken) assert.equal(parseTraceparent(header), null, String(header))
})
