import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { NEVER, outcomeOf, requestFor, testOffer } from './fixtures/offers.ts'
import { OfferBook } from './offer-book.ts'
import type { ClaimedOffer } from './offer-book.ts'

test('an offer is withdrawn when its time is over, one that was claimed is not', async (context) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  context.after(() => mock.timers.reset())
  const book = new OfferBook(30_000)
  const [claimed, left] = [testOffer(), testOffer()]
  const [claimedOffer, leftOffer] = [outcomeOf(book.enter(claimed, NEVER)), outcomeOf(book.enter(left, NEVER))]
  mock.timers.tick(29_999)
  const claim = book.claim(requestFor(claimed, ''))
  assert.ok(claim.kind === 'claimed')
  mock.timers.tick(1)
  assert.equal(await leftOffer, 'kv_not_pulled')
  assert.equal(book.claim(requestFor(left, '')).kind, 'unknown')
  mock.timers.tick(1_000_000)
  assert.equal(book.numUnsettled, 1)
  claim.claimed.sent()
  assert.equal(await claimedOffer, 'sent')
})

test('whatever happens in whatever order, every offer settles once and every token opens at most one transfer', async () => {
  const seed = testSeed(77)
  const random = seededRandom(seed)
  const book = new OfferBook()
  const offers = Array.from({ length: 60 }, () => ({ offer: testOffer(), stop: new AbortController(), numClaims: 0, settled: null as Promise<string> | null }))
  const claims: ClaimedOffer[] = []
  for (let step = 0; step < 600; step++) {
    const each = random.pick(offers)
    switch (random.int(4)) {
      case 0:
        each.settled ??= outcomeOf(book.enter(each.offer, each.stop.signal))
        break
      case 1: {
        const claim = book.claim(requestFor(each.offer, ''))
        if (claim.kind === 'claimed') claims.push(claim.claimed)
        if (claim.kind === 'claimed') each.numClaims++
        break
      }
      case 2:
        if (random.int(8) === 0) each.stop.abort()
        break
      default:
        if (claims.length === 0) break
        if (random.int(2) === 0) random.pick(claims).sent()
        else random.pick(claims).broken('test')
    }
    assert.ok(each.numClaims <= 1, `seed ${seed}, step ${step}`)
  }
  book.close()
  assert.equal(book.numUnsettled, 0)
  for (const { settled } of offers) if (settled !== null) assert.ok(['sent', 'kv_not_pulled'].includes(await settled), `seed ${seed}`)
  assert.ok(claims.length > 0)
})
