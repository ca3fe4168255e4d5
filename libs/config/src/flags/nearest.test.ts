import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearestName } from './nearest.ts'

test('the name with the fewest edits is found', () => {
  const names = ['port', 'grpc-port', 'host', 'max-num-seqs', 'max-num-batched-tokens']
  const meant = { prot: 'port', 'grcp-port': 'grpc-port', 'max-num-seq': 'max-num-seqs', 'max-batched-tokens': 'max-num-batched-tokens', hosts: 'host', port: 'port' }
  for (const [written, name] of Object.entries(meant)) assert.equal(nearestName(written, names), name)
})

test('the first of equally near names is taken', () => {
  assert.equal(nearestName('ab', ['ac', 'bb']), 'ac')
})
