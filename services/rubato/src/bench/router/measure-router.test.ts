import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderRouter } from './command.ts'
import { measureRouter } from './measure-router.ts'
import type { MeasuredRouter, RouterPlan } from './measure-router.ts'

const PLAN: RouterPlan = { numStreams: 4, tokenRequests: 10, outputTokens: 100, costRequests: 50, promptTokens: 16, memoryRequests: 1000, seed: 1 }
const IO = { progress: () => {}, signal: new AbortController().signal, sleep: async () => {} }

/** Costs 300 us per request and 5 us per token, and keeps some bytes of every request. */
function costlyRouter(keptBytes: number) {
  let [cpuUs, numRequests] = [1000, 0]
  const prompts = new Set<string>()
  const router: MeasuredRouter = {
    ask: async () => ({ cpuUs, rssBytes: 1e8 + keptBytes * 2 * numRequests, heapBytes: 1e7 + keptBytes * numRequests }),
    run: async (load) => {
      const maxTokens = load.request(0).sampling!.maxTokens!
      for (let index = 0; index < load.numRequests; index++) prompts.add(JSON.stringify(load.request(index)))
      cpuUs += load.numRequests * (300 + 5 * (maxTokens - 1))
      numRequests += load.numRequests
      return load.numRequests * maxTokens
    },
  }
  return { router, prompts }
}

test('the cost of a token is that of long streams less what their requests cost', async () => {
  const { router } = costlyRouter(0)
  const report = await measureRouter(router, PLAN, IO)
  assert.equal(Math.round(report.cpu_us_per_request), 300)
  // 99 of 100 tokens cost 5 us, the first is part of its request.
  assert.ok(Math.abs(report.cpu_us_per_token - 4.95) < 1e-6, String(report.cpu_us_per_token))
  assert.equal(report.relay.tokens, 1000)
  assert.equal(report.memory?.heap_bytes_per_request, 0)
})

test('memory that stays with every request shows as a slope, of heap and of RSS', async () => {
  const { router } = costlyRouter(24)
  const { memory } = await measureRouter(router, PLAN, IO)
  assert.ok(Math.abs(memory!.heap_bytes_per_request! - 24) < 1e-6)
  assert.ok(Math.abs(memory!.rss_bytes_per_request! - 48) < 1e-6)
  assert.equal(memory!.requests, 1000)
})

test('prompts differ, so that no prefix cache answers for them', async () => {
  const { router, prompts } = costlyRouter(0)
  await measureRouter(router, { ...PLAN, memoryRequests: 0 }, IO)
  assert.ok(prompts.size >= PLAN.costRequests + PLAN.tokenRequests)
})

test('the table says which target was missed', async () => {
  const report = await measureRouter(costlyRouter(0).router, PLAN, IO)
  assert.match(renderRouter(report), /per relayed token\s+5\.0 us\s+within 20/)
  assert.match(renderRouter({ ...report, cpu_us_per_request: 1500 }), /per request besides\s+1500 us\s+OVER 1000/)
})
