import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, testSeed } from '@rubato/testing'
import { openTimer } from './open-timer.ts'
import type { TimerChoice, TimerMachine } from './open-timer.ts'

const A100: TimerMachine = { accelerator: 'a100-80gb', model: 'llama2-70b', tp: 8, pp: 1 }

test('what nobody measured is refused by the field at fault', () => {
  const refusals: readonly (readonly [choice: TimerChoice, machine: Partial<TimerMachine>, field: string, message: RegExp])[] = [
    [{ kind: 'composed' }, { accelerator: 'a101' }, 'accelerator', /a101 is not known: one of a100-80gb/],
    [{ kind: 'composed' }, { model: 'llama9' }, 'model', /llama9 is not known: one of llama2-7b/],
    [{ kind: 'composed' }, { tp: 3 }, 'tp', /tp 1, 2, 4, 8, not 3/],
    [{ kind: 'composed' }, { accelerator: 'l4', model: 'llama3-8b', tp: 2 }, 'tp', /l4: tp must be 1/],
    [{ kind: 'composed' }, { pp: 2 }, 'pp', /one stage only/],
    [{ kind: 'composed', calibration: 'sarathi' }, {}, 'calibration', /yi-34b on a100-80gb-pcie/],
    [{ kind: 'splitwise' }, { model: 'opt-13b' }, 'model', /did not measure opt-13b/],
    [{ kind: 'splitwise' }, { tp: 1 }, 'model', /with tp 1/],
    [{ kind: 'distserve' }, {}, 'model', /nothing for llama2-70b/],
    [{ kind: 'distserve' }, { accelerator: 'h100-80gb', model: 'opt-13b', tp: 1 }, 'accelerator', /a100-80gb only/],
  ]
  for (const [choice, change, field, message] of refusals) {
    assert.throws(() => openTimer(choice, { ...A100, ...change }), { code: 'invalid_argument', field, message }, `${choice.kind} ${JSON.stringify(change)}`)
  }
})

test('every kind of timer takes positive, finite time for any work, equal time for equal work, and none for none', () => {
  const seed = testSeed(7)
  const random = seededRandom(seed)
  const timers = [
    openTimer({ kind: 'composed' }, A100), openTimer({ kind: 'composed' }, { ...A100, accelerator: 'a40' }), openTimer({ kind: 'composed' }, { accelerator: 'a10g', model: 'mistral-7b', tp: 1, pp: 1 }),
    openTimer({ kind: 'composed', calibration: 'sarathi' }, { accelerator: 'a100-80gb-pcie', model: 'yi-34b', tp: 2, pp: 1 }),
    openTimer({ kind: 'splitwise' }, A100), openTimer({ kind: 'distserve', engine: 'vllm' }, { accelerator: 'a100-80gb', model: 'opt-66b', tp: 4, pp: 2 }),
    openTimer({ kind: 'profile', points: [{ kind: 'decode', batch: 1, contextTokens: 64, ms: 4 }, { kind: 'cell', cellTokens: 128, contextTokens: 0, ms: 40 }] }, A100),
  ]
  for (const [index, timer] of timers.entries()) {
    assert.equal(timer.stepMs({ cells: [], decodes: [] }), 0)
    for (let round = 0; round < 100; round++) {
      const cells = Array.from({ length: random.int(4) }, () => ({ cellTokens: 1 + random.int(9000), contextTokens: random.int(9000) }))
      const decodes = Array.from({ length: (cells.length === 0 ? 1 : 0) + random.int(300) }, () => ({ contextTokens: random.int(20_000), nodes: random.pick([0, 0, random.int(64)]) }))
      const ms = timer.stepMs({ cells, decodes })
      assert.ok(ms > 0 && Number.isFinite(ms), `seed ${seed}, timer ${index}: ${ms}`)
      timer.stepMs({ cells: [], decodes: [{ contextTokens: 5, nodes: 0 }] })
      assert.equal(timer.stepMs({ cells, decodes }), ms, `seed ${seed}, timer ${index}`)
    }
  }
})

test('more to do of the same kind never takes less', () => {
  const timers = [openTimer({ kind: 'splitwise' }, { ...A100, accelerator: 'h100-80gb' }), openTimer({ kind: 'composed' }, { accelerator: 'a10g', model: 'mistral-7b', tp: 1, pp: 1 })]
  for (const timer of timers) {
    let [cellMs, decodeMs] = [0, 0]
    for (let size = 1; size <= 600; size += 7) {
      const [nextCellMs, nextDecodeMs] = [timer.stepMs({ cells: [{ cellTokens: size, contextTokens: 100 }], decodes: [] }), timer.stepMs({ cells: [], decodes: Array.from({ length: size }, () => ({ contextTokens: 700, nodes: 0 })) })]
      assert.ok(nextCellMs >= cellMs && nextDecodeMs >= decodeMs, `${size}`)
      ;[cellMs, decodeMs] = [nextCellMs, nextDecodeMs]
    }
  }
})
