import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidArgument } from '@rubato/config'
import { INSTANCE_FLAGS, ROUTER_FLAGS, SERVE_FLAGS } from '@rubato/config/commands'
import type { FlagTable } from '@rubato/config/commands'
import { Command } from 'commander'
import { addFlagOptions, givenFlags } from './flag-options.ts'

function parse(...args: readonly string[]): Record<string, unknown> {
  const command = new Command('serve').argument('[MODEL]')
  addFlagOptions(command, SERVE_FLAGS)
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

const helpOf = (table: FlagTable): string => {
  const command = new Command('x')
  addFlagOptions(command, table)
  return command.helpInformation()
}

test('--help names every flag, under a heading of its own group', () => {
  for (const table of [SERVE_FLAGS, ROUTER_FLAGS, INSTANCE_FLAGS] as readonly FlagTable[]) {
    const help = helpOf(table)
    for (const [name, { hidden }] of Object.entries(table)) assert.equal(new RegExp(`^  --${name}( |$)`, 'm').test(help), hidden !== true, name)
  }
  const help = helpOf(SERVE_FLAGS)
  assert.match(help, /^ {2}--http-port <PORT> +same as --port$/m)
  assert.doesNotMatch(help, /--no-insecure/)
})
