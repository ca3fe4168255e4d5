// A step holds no more tokens than its policy granted, whatever is admitted with it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectedChoice, generateMessage, instanceFixture, SMALL_SHAPE } from '@rubato/testing'

test('a prompt whose cached beginning is given to one admitted before it waits for the next step', () => {
  const shape = { ...SMALL_SHAPE, numBlocks: 17 }
  const driver = instanceFixture({ shape, limits: { maxNumSeqs: 8, maxNumBatchedTokens: 31 } })
  for (const salt of ['old', 'new']) {
    driver.deliver(generateMessage(salt, { promptLen: 27, cacheSalt: salt }))
    driver.runToIdle()
  }
  driver.deliver(generateMessage('busy', { promptLen: 2, cacheSalt: 'busy', sampling: { maxTokens: 2 } }))
  const other = generateMessage('other', { promptLen: 27, cacheSalt: 'other' })
  const again = generateMessage('again', { promptLen: 27, cacheSalt: 'old' })
  driver.deliver(other)
  driver.deliver(again)
  driver.completeStep()
  const numTokens = (driver.command?.cells ?? []).reduce((sum, { count }) => sum + count, driver.command?.decodes.length ?? 0)
  assert.deepEqual([numTokens, driver.command?.admit.length], [28, 1], 'the decode, and all of the first prompt')
  driver.runToIdle()
  for (const message of [other, again]) assert.deepEqual(driver.choice(message.requestId).tokenIds, expectedChoice(message, 0, shape))
})
