import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidArgument } from '@rubato/config'
import { SERVE_FLAG_NAMES } from '@rubato/config/serve'
import { Command } from 'commander'
import { addServeOptions, givenFlags } from './serve-options.ts'

function parse(...args: readonly string[]): Record<string, unknown> {
  const command = new Command('serve').argument('[MODEL]')
  addServeOptions(command)
  command.parse([...args], { from: 'user' })
  const given = givenFlags(command, command.args[0])
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

test('only what is written counts as given', () => {
  assert.deepEqual(parse(), {})
  assert.deepEqual(parse('--max-num-seqs', '8', '--api-key=k'), { 'max-num-seqs': '8', 'api-key': 'k' })
})

test('aliases and the forms of a switch reach the resolver', () => {
  assert.deepEqual(parse('--http-port', '1'), { 'http-port': '1' })
  assert.deepEqual(parse('--no-enable-prefix-caching'), { 'enable-prefix-caching': false })
  assert.deepEqual(parse('--enable-prefix-caching', '--insecure'), { 'enable-prefix-caching': true, insecure: true })
  assert.deepEqual(parse('--no-enable-prefix-caching', '--enable-prefix-caching'), { 'enable-prefix-caching': true })
})

test('MODEL is --model', () => {
  assert.deepEqual(parse('m'), { model: 'm' })
  assert.deepEqual(parse('--model', 'm', 'm'), { model: 'm' })
  assert.throws(() => parse('--model', 'a', 'b'), (error) => error instanceof InvalidArgument && error.field === 'model')
})

test('--help names every flag, under a heading of its own group', () => {
  const command = new Command('serve')
  addServeOptions(command)
  const help = command.helpInformation()
  for (const name of SERVE_FLAG_NAMES) assert.match(help, new RegExp(`^  --${name}( |$)`, 'm'))
  assert.match(help, /^ {2}--http-port <PORT> +same as --port$/m)
  assert.match(help, /^Not available in this version:\n {2}--draft/m)
  assert.doesNotMatch(help, /--no-insecure/)
})
