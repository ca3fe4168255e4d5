// What `auto` must reach in virtual time: close to the best static length and to an oracle at every load, quick after changes, and idle
// where there is nothing to gain.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { FRESH_CALIBRATION } from './calibration.ts'
import { chooseNodes } from './controller/auto-verify.ts'
import { speculationPolicy } from './controller/policies.ts'
import type { SpeculationPolicy } from './controller/policy.ts'
import { VirtualDecoder } from './fixtures/virtual-decoder.ts'
import { ACCELERATOR, CPU_MACHINE, MEASURED_MACHINE } from './fixtures/virtual-machine.ts'
import type { VirtualMachine } from './fixtures/virtual-machine.ts'
import { EASY_TEXT, HARD_TEXT, SHAKESPEARE, drawTokens, growTree } from './fixtures/virtual-text.ts'
import type { VirtualText } from './fixtures/virtual-text.ts'

const NOISE = 0.15
const MOST_LENGTH = 8
const NUM_CHAINS = 4000
const NUM_STARTS = 4

/** Expected tokens of a chain of 0, 1, 2, ... drafts. */
function chainTokens(text: VirtualText, seed: number): number[] {
  const random = seededRandom(seed)
  const shape = { kind: 'draft', depth: MOST_LENGTH, width: 1, leastProbability: 0, leastGrown: 0, promisedGoodput: null, trial: null } as const
  const reached = Array.from({ length: MOST_LENGTH + 1 }, () => 0)
  for (let count = 0; count < NUM_CHAINS; count++) {
    const emitted = drawTokens(growTree(text, shape, FRESH_CALIBRATION, random), random).length
    for (let length = 0; length <= MOST_LENGTH; length++) reached[length]! += Math.min(emitted, length + 1) / NUM_CHAINS
  }
  return reached
}

/** Tokens per millisecond of the best fixed length, and of none. */
function bestStatic({ draftMs, runMs }: VirtualMachine, tokens: readonly number[], batch: number): { readonly best: number; readonly plain: number } {
  const goodputs = tokens.map((each, length) => {
    const stepMs = runMs({ batch, nodes: batch * length, contextTokensSum: 0 }) + (length === 0 ? 0 : draftMs(length, batch * length))
    return (batch * each) / stepMs
  })
  return { best: Math.max(...goodputs), plain: goodputs[0]! }
}

const auto = (machine: VirtualMachine, seed: number): VirtualDecoder => new VirtualDecoder(speculationPolicy('auto'), { machine, random: seededRandom(seed), noise: NOISE })

interface Settled {
  readonly machine: VirtualMachine
  readonly batch: number
  readonly text: VirtualText
}

/** Tokens per millisecond once settled, over several starts: what one start comes to hangs on a few measurements where policies are close. */
function settledGoodput({ machine, batch, text }: Settled, seed: number): number {
  let tokens = 0
  let ms = 0
  for (let start = 0; start < NUM_STARTS; start++) {
    const decoder = auto(machine, seed + batch + 1000 * start)
    decoder.goodput(150, batch, text)
    for (let count = 0; count < (batch > 8 ? 300 : 600); count++) {
      const step = decoder.step(batch, text)
      tokens += step.tokens
      ms += step.ms
    }
  }
  return tokens / ms
}

const BATCHES = [1, 2, 4, 8, 16, 32] as const

for (const [machineName, machine] of Object.entries({ 'a CPU': CPU_MACHINE, 'an accelerator': ACCELERATOR })) {
  test(`on ${machineName} at no load and for no text is auto more than 2 % behind the best static length, nor behind plain decoding`, (t) => {
    const seed = testSeed(6100)
    for (const [textName, text] of Object.entries({ EASY_TEXT, SHAKESPEARE, HARD_TEXT })) {
      const tokens = chainTokens(text, seed)
      for (const batch of BATCHES) {
        const goodput = settledGoodput({ machine, batch, text }, seed)
        const { best, plain } = bestStatic(machine, tokens, batch)
        t.diagnostic(`${textName}, ${batch}: ${(goodput / best).toFixed(3)} of the best static length, ${(goodput / plain).toFixed(3)} of plain decoding`)
        assert.ok(goodput > 0.98 * best, `seed ${seed}: ${textName}, batch ${batch}: ${goodput / best} of the best static length`)
      }
    }
  })
}

/** Knows the machine and the text, grows trees to one fixed depth of probability, and never looks around. */
function oracle(leastGrown: number): SpeculationPolicy {
  const shape = { kind: 'draft', depth: 12, width: 3, leastProbability: leastGrown / 4, leastGrown, promisedGoodput: null, trial: null } as const
  return { lookup: 'never', idleSteps: 1, shape: () => shape, verify: (question) => chooseNodes({ ...question, stepNumber: 0 }) }
}

test('auto is within 5 % of an oracle that knows what everything costs and how far to grow every tree', (t) => {
  const seed = testSeed(6200)
  for (const batch of [1, 4]) {
    let best = bestStatic(CPU_MACHINE, [1], batch).plain
    for (const leastGrown of [0.8, 0.6, 0.45, 0.3, 0.2]) {
      const decoder = new VirtualDecoder(oracle(leastGrown), { machine: CPU_MACHINE, random: seededRandom(seed), noise: 0 })
      decoder.goodput(150, batch, SHAKESPEARE)
      best = Math.max(best, decoder.goodput(800 / batch, batch, SHAKESPEARE))
    }
    const decoder = auto(CPU_MACHINE, seed)
    decoder.goodput(150, batch, SHAKESPEARE)
    const ratio = decoder.goodput(1600 / batch, batch, SHAKESPEARE) / best
    t.diagnostic(`${batch}: ${ratio.toFixed(3)} of the oracle`)
    assert.ok(ratio > 0.95, `seed ${seed}: batch ${batch}: ${ratio} of the oracle`)
  }
})

test('on a machine that is not linear auto still costs nothing at any load, and is close to the best static length', (t) => {
  const seed = testSeed(6300)
  const tokens = chainTokens(SHAKESPEARE, seed)
  for (const batch of BATCHES) {
    const goodput = settledGoodput({ machine: MEASURED_MACHINE, batch, text: SHAKESPEARE }, seed)
    const { best, plain } = bestStatic(MEASURED_MACHINE, tokens, batch)
    t.diagnostic(`${batch}: ${(goodput / best).toFixed(3)} of the best static length, ${(goodput / plain).toFixed(3)} of plain decoding`)
    assert.ok(goodput > 0.98 * plain && goodput > 0.95 * best, `seed ${seed}: batch ${batch}: ${goodput / plain} of plain decoding, ${goodput / best} of the best static length`)
  }
})

/** What `run` comes to over several starts: two hundred steps of one sequence alone are off by several percent. */
function meanOver(run: (start: number) => number): number {
  return Array.from({ length: NUM_STARTS }, (_, start) => run(start)).reduce((sum, goodput) => sum + goodput, 0) / NUM_STARTS
}

test('a load that changes is settled with after fifty steps', () => {
  const seed = testSeed(6400)
  const decoders = Array.from({ length: NUM_STARTS }, (_, start) => auto(CPU_MACHINE, seed + 100 * start))
  for (const decoder of decoders) decoder.goodput(200, 1, SHAKESPEARE)
  for (const batch of [4, 16, 2, 8]) {
    const expected = meanOver((start) => {
      const settled = auto(CPU_MACHINE, seed + batch + 100 * start)
      settled.goodput(200, batch, SHAKESPEARE)
      return settled.goodput(200, batch, SHAKESPEARE)
    })
    const goodput = meanOver((start) => {
      decoders[start]!.goodput(50, batch, SHAKESPEARE)
      return decoders[start]!.goodput(200, batch, SHAKESPEARE)
    })
    assert.ok(goodput > 0.95 * expected, `seed ${seed}: ${batch} sequences: ${goodput / expected} of what it comes to`)
  }
})

test('a text that turns hard, or easy again, is settled with after a hundred steps', () => {
  const seed = testSeed(6500)
  for (const batch of [1, 4]) {
    const decoders = Array.from({ length: NUM_STARTS }, (_, start) => auto(CPU_MACHINE, seed + 100 * start))
    for (const decoder of decoders) decoder.goodput(300, batch, EASY_TEXT)
    for (const text of [HARD_TEXT, EASY_TEXT]) {
      const goodput = meanOver((start) => {
        decoders[start]!.goodput(100, batch, text)
        return decoders[start]!.goodput(200, batch, text)
      })
      const expected = meanOver((start) => {
        const settled = auto(CPU_MACHINE, seed + 1 + 100 * start)
        settled.goodput(300, batch, text)
        return settled.goodput(200, batch, text)
      })
      assert.ok(goodput > 0.93 * expected, `seed ${seed}: ${batch} sequences: ${goodput / expected} of what it comes to`)
    }
  }
})

/** Counts the questions that a policy is asked. */
function counted(policy: SpeculationPolicy): { readonly policy: SpeculationPolicy; readonly asked: { count: number } } {
  const asked = { count: 0 }
  const shape: SpeculationPolicy['shape'] = (question) => (asked.count++, policy.shape(question))
  const verify: SpeculationPolicy['verify'] = (question) => (asked.count++, policy.verify(question))
  return { policy: { ...policy, shape, verify }, asked }
}

test('where drafts cannot pay, nearly every step passes: nothing is asked, drafted or verified in it, and it takes what a plain one takes', () => {
  const seed = testSeed(6600)
  const { policy, asked } = counted(speculationPolicy('auto'))
  const decoder = new VirtualDecoder(policy, { machine: CPU_MACHINE, random: seededRandom(seed), noise: NOISE })
  decoder.goodput(150, 32, HARD_TEXT)
  const plainMs = CPU_MACHINE.runMs({ batch: 32, nodes: 0, contextTokensSum: 0 })
  let passed = 0
  let drafted = 0
  let totalMs = 0
  for (let count = 0; count < 960; count++) {
    const before = asked.count
    const { isPassed, ms, nodes, shape } = decoder.step(32, HARD_TEXT)
    if (isPassed) assert.deepEqual([asked.count - before, ms, nodes, shape.kind], [0, plainMs, 0, 'off'], `seed ${seed}`)
    passed += Number(isPassed)
    drafted += Number(shape.kind === 'draft')
    totalMs += ms
  }
  assert.ok(passed > 0.85 * 960 && drafted <= 40, `seed ${seed}: ${passed} steps passed, ${drafted} drafted`)
  assert.ok(totalMs < 1.02 * 960 * plainMs, `seed ${seed}: ${totalMs / 960 / plainMs} of plain steps`)
})

test('an engine whose draft model is gone is never asked for drafts, and loses nothing by having had one', () => {
  const seed = testSeed(6700)
  const decoder = auto(CPU_MACHINE, seed)
  decoder.goodput(200, 4, EASY_TEXT)
  assert.equal(decoder.controller.shape.kind, 'draft')
  decoder.loseDrafts()
  // What was drafted before is verified yet.
  decoder.step(4, EASY_TEXT)
  const plainMs = CPU_MACHINE.runMs({ batch: 4, nodes: 0, contextTokensSum: 0 })
  for (let count = 0; count < 400; count++) {
    const { ms, shape, tokens } = decoder.step(4, EASY_TEXT)
    assert.deepEqual([ms, shape.kind, tokens], [plainMs, 'off', 4], `seed ${seed}: step ${count}`)
  }
})

test('a text that turns easy where drafts did not pay is found out by looks', () => {
  const seed = testSeed(6800)
  const decoder = auto(CPU_MACHINE, seed)
  // Two sequences are looked at every few hundred steps.
  decoder.goodput(3000, 4, HARD_TEXT)
  decoder.goodput(1500, 4, EASY_TEXT)
  assert.ok(decoder.controller.shape.kind === 'draft', `seed ${seed}`)
})
