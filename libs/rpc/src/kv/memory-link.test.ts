import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NEVER, patternBytes, requestFor, testOffer } from './fixtures/offers.ts'
import { kvTransportContract } from './fixtures/transport-contract.ts'
import { memoryKvLink } from './memory-link.ts'

kvTransportContract({
  name: 'memory',
  open: (offerTtlMs) => {
    const link = memoryKvLink(offerTtlMs === undefined ? {} : { offerTtlMs })
    return Promise.resolve({ sender: link.join('a'), receiver: link.join('b') })
  },
})

test('an address belongs to one transport at a time', async () => {
  const link = memoryKvLink()
  const first = link.join('a')
  assert.throws(() => link.join('a'), { code: 'address_in_use' })
  await first.close()
  const second = link.join('a')
  await first.close()
  assert.throws(() => link.join('a'), { code: 'address_in_use' })
  await second.close()
  await assert.rejects(link.join('b').pull(requestFor(testOffer(), 'a'), NEVER), { code: 'kv_link_failed' })
})

test('the exported bytes change hands without a copy', async () => {
  const link = memoryKvLink()
  const [sender, receiver] = [link.join('a'), link.join('b')]
  const bytes = patternBytes(3000)
  const offer = testOffer({ read: () => Promise.resolve(bytes) })
  const offered = sender.offer(offer, NEVER)
  assert.equal((await receiver.pull(requestFor(offer, 'a'), NEVER)).bytes, bytes)
  await offered
})
