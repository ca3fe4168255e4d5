// The scenarios that come with the project.
import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { InvalidArgument } from '@rubato/config'
import { temporaryFolder } from '@rubato/testing'
import { openScenario } from './open-scenario.ts'
import { DEFAULT_POLICIES } from './scenario/schema/policy-schema.ts'

const FOLDER = path.resolve(import.meta.dirname, '../../../../scenarios')

test('every scenario can be run, is called like its file, and has the default policies as a column', async () => {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith('.yaml'))
  assert.ok(files.length >= 4)
  for (const file of files) {
    const { name, variants } = await openScenario(path.join(FOLDER, file))
    assert.equal(`${name}.yaml`, file)
    assert.ok(variants.length > 1, `${file} compares nothing`)
    assert.ok(variants.some(({ policies }) => JSON.stringify(policies) === JSON.stringify(DEFAULT_POLICIES)), `${file} has no column of default policies`)
  }
})

const refusedAs = (field: string, message: RegExp) => (error: unknown): boolean => error instanceof InvalidArgument && error.field === field && message.test(error.message)

test('a scenario or a trace that is not there, or holds nothing, is refused', async (t) => {
  await assert.rejects(openScenario('/none/x.yaml'), refusedAs('FILE', /cannot read/))
  const folder = temporaryFolder(t)
  const open = (trace: string, arrivals: string): Promise<unknown> => {
    const file = path.join(folder, 'x.yaml')
    writeFileSync(file, `{name: x, description: x, primary_metric: completed, fleet: [{name: a, accelerator: a100-80gb, model: opt-13b}], timer: distserve, workload: {lengths: {kind: trace, file: ${trace}}, arrivals: ${arrivals}, rate: 1, num_requests: 1}}`)
    return openScenario(file)
  }
  writeFileSync(path.join(folder, 'empty.csv'), 'prompt_len,output_len,unit_arrival\n')
  writeFileSync(path.join(folder, 'lengths.csv'), 'num_prefill_tokens,num_decode_tokens\n5,6\n')
  await assert.rejects(open('none.csv', 'poisson'), refusedAs('workload.lengths.file', /cannot read .*none\.csv/))
  await assert.rejects(open('empty.csv', 'poisson'), refusedAs('workload.lengths.file', /holds no requests/))
  await assert.rejects(open('lengths.csv', 'trace'), refusedAs('workload.arrivals', /lengths without times/))
  await open('lengths.csv', 'poisson')
})
