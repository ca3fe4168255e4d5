import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { InvalidArgument } from '@rubato/config'
import { temporaryFolder } from '@rubato/testing'
import { readServeConfig } from './read-config.ts'

const context = { env: {}, repoRoot: '/opt/rubato', print: () => {} }

function yamlFile(t: TestContext, text: string): string {
  const file = path.join(temporaryFolder(t), 'rubato.yaml')
  writeFileSync(file, text)
  return file
}

async function refusal(config: string): Promise<string> {
  const error: unknown = await readServeConfig({ config }, context).then(() => assert.fail('was accepted'), (reason: unknown) => reason)
  assert.ok(error instanceof InvalidArgument)
  return `${error.field}: ${error.message}`
}

test('a YAML file sets flags, named by flag or by variable', async (t) => {
  const config = yamlFile(t, '# ports\nport: 9000\nmax_num_seqs: 8\nspeculation: off\nmodel: m\n')
  const read = await readServeConfig({ config }, context)
  assert.deepEqual([read.httpPort, read.maxNumSeqs, read.modelDir], [9000, 8, path.join(path.dirname(config), 'm')])
  assert.equal((await readServeConfig({}, { ...context, env: { RUBATO_CONFIG: config } })).httpPort, 9000)
  assert.equal((await readServeConfig({ config, port: '1' }, context)).httpPort, 1)
})

test('an empty file sets nothing', async (t) => {
  const nothing = await readServeConfig({ config: yamlFile(t, '') }, context)
  assert.deepEqual(await readServeConfig({ config: yamlFile(t, '# port: 1\n') }, context), nothing)
  assert.equal(nothing.httpPort, 8000)
})

test('a named file must exist and hold flags', async (t) => {
  assert.match(await refusal('/nowhere/rubato.yaml'), /^config: cannot read \/nowhere\/rubato\.yaml: ENOENT/)
  assert.match(await refusal(yamlFile(t, 'port: [1\n')), /^config: .*rubato\.yaml is not valid YAML: .* at line 2/)
  assert.match(await refusal(yamlFile(t, 'port: 1\nport: 2\n')), /^config: .* not valid YAML: .*unique/)
  assert.match(await refusal(yamlFile(t, '- port\n')), /^config: .* must hold flags/)
  assert.match(await refusal(yamlFile(t, 'prot: 1\n')), /^prot: .* did you mean port\?/)
})
