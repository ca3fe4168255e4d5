import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cell, cellsOf, decodes, together } from '../fixtures/step-works.ts'
import { loadSarathiSteps, readDataText } from '../data-files.ts'
import { csvRows, numberIn } from '../csv.ts'
import { openComposedParts, openTimer, requireAccelerator, requireModel } from '../open-timer.ts'
import { calibrateComposed } from './calibration.ts'
import { UNCALIBRATED, composedTimer } from './composed-timer.ts'
import { SARATHI_MACHINE, fittedSarathiSteps } from './sarathi-steps.ts'

const STEPS = loadSarathiSteps()
const TIMER = openTimer({ kind: 'composed', calibration: 'sarathi' }, { ...SARATHI_MACHINE, pp: 1 })

function percent(ratio: number): string {
  return `${ratio < 1 ? '' : '+'}${(100 * (ratio - 1)).toFixed(1)} %`
}

test('a calibration finds the constants of a machine that has some', () => {
  const parts = openComposedParts(requireAccelerator('a100-80gb'), requireModel('llama2-7b'), 1)
  const truth = composedTimer(parts, { layerRatio: 1.2, attentionFlopsRatio: 0.3, kvReadRatio: 0.8, host: { xs: Float64Array.of(1, 9), ys: Float64Array.of(30, 46) } })
  const measured = (work: Parameters<typeof truth.stepMs>[0]) => ({ work, ms: truth.stepMs(work) })
  const withCells = [64, 512, 1024, 4096, 8192].map((tokens) => measured(cell(tokens)))
  const found = calibrateComposed(parts, { withCells, decodesOnly: [1, 9].map((batch) => measured(decodes(batch, 100))) })
  assert.ok(Math.abs(found.layerRatio - 1.2) < 1e-6 && Math.abs(found.attentionFlopsRatio - 0.3) < 1e-6, JSON.stringify(found))
  assert.deepEqual([...found.host!.ys], [30, 46])
  assert.throws(() => calibrateComposed(parts, { withCells: [measured(cell(64))], decodesOnly: [measured(decodes(1, 100))] }), RangeError)
  assert.throws(() => calibrateComposed(parts, { withCells, decodesOnly: [] }), RangeError)
})

test('Yi-34B on two A100: steps that the calibration did not see come out within 15 %, eight decodes within 20 %', (t) => {
  const parts = openComposedParts(requireAccelerator(SARATHI_MACHINE.accelerator), requireModel(SARATHI_MACHINE.model), SARATHI_MACHINE.tp)
  const { layerRatio, attentionFlopsRatio } = calibrateComposed(parts, fittedSarathiSteps(STEPS))
  t.diagnostic(`projections ${layerRatio.toFixed(3)} x table, attention at ${(100 * attentionFlopsRatio).toFixed(1)} % of the peak`)
  const seen = new Set(Object.values(fittedSarathiSteps(STEPS)).flat())
  const limits = new Map([...STEPS.prefills.keys(), ...STEPS.decodes.keys()].map((count) => [count, count === 8 ? 0.2 : 0.15]))
  let numPredicted = 0
  for (const [kind, steps] of [['prefill', STEPS.prefills], ['decode', STEPS.decodes]] as const) {
    for (const [count, step] of steps) {
      const ratio = TIMER.stepMs(step.work) / step.ms
      const isOutlier = kind === 'prefill' && count === 256
      t.diagnostic(`${kind} ${count}: measured ${step.ms.toFixed(1)} ms, ${percent(ratio)}${seen.has(step) ? ', fitted' : ''}${isOutlier ? ', outlier' : ''}`)
      if (seen.has(step) || isOutlier) continue
      numPredicted += 1
      assert.ok(Math.abs(ratio - 1) <= limits.get(count)!, `${kind} ${count}: ${percent(ratio)}`)
    }
  }
  assert.equal(numPredicted, 7)
})

test('without a calibration prefills are within a quarter, and decodes lack what the host took', () => {
  const plain = openTimer({ kind: 'composed' }, { ...SARATHI_MACHINE, pp: 1 })
  for (const count of [512, 1024, 2048, 4096, 8192, 16384]) assert.ok(Math.abs(plain.stepMs(STEPS.prefills.get(count)!.work) / STEPS.prefills.get(count)!.ms - 1) < 0.25, `${count}`)
  assert.ok(plain.stepMs(STEPS.decodes.get(1)!.work) < 0.7 * STEPS.decodes.get(1)!.ms)
  assert.equal(UNCALIBRATED.host, null)
})

test('hybrid batches: three decodes ride on 1,021 prompt tokens for nothing, as measured', (t) => {
  const [hybrid, pure] = csvRows(readDataText('sarathi-serve/yi34b_tp2_hybrid_batch.csv')).slice(1).map((row) => numberIn(row, 'batch_execution_time'))
  const ours = [TIMER.stepMs(together(cell(1021), decodes(3, 1024))), TIMER.stepMs(cell(1024))]
  t.diagnostic(`measured ${hybrid!.toFixed(1)} and ${pure!.toFixed(1)} ms, here ${ours.map((ms) => ms.toFixed(1)).join(' and ')}`)
  assert.ok(Math.abs(ours[0]! / hybrid! - 1) < 0.15)
  assert.ok(ours[0]! / ours[1]! < 1.01)
})

test('chunks of 512 cost up to a quarter more than the whole prompt, chunks of 2,048 next to nothing', (t) => {
  for (const row of csvRows(readDataText('sarathi-serve/yi34b_tp2_chunking_overhead.csv'))) {
    const [promptTokens, chunkTokens] = [numberIn(row, 'prefill_length'), numberIn(row, 'chunk_size')]
    if (chunkTokens > 2048) continue
    const ratio = cellsOf(promptTokens, chunkTokens).reduce((sum, work) => sum + TIMER.stepMs(work), 0) / TIMER.stepMs(cell(promptTokens))
    t.diagnostic(`${promptTokens} in ${chunkTokens}: measured ${numberIn(row, 'prefill_execution_time_relative').toFixed(3)}, here ${ratio.toFixed(3)}`)
    if (chunkTokens === 512) assert.ok(ratio > 1.05 && ratio < 1.25, `${promptTokens}: ${ratio}`)
    if (chunkTokens === 2048) assert.ok(ratio < 1.03, `${promptTokens}: ${ratio}`)
  }
})
