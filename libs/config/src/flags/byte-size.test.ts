import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseByteSize } from './byte-size.ts'

test('sizes are read in bytes, binary and decimal units, any case', () => {
  const sizes = { '1073741824': 2 ** 30, '512MiB': 512 * 2 ** 20, '2GiB': 2 ** 31, '2 gib': 2 ** 31, '1.5GiB': 1.5 * 2 ** 30, '1MB': 1e6, '3KB': 3000, '1TiB': 2 ** 40, '7B': 7, '0.3KiB': 307 }
  for (const [text, sizeBytes] of Object.entries(sizes)) assert.equal(parseByteSize(text), sizeBytes, text)
})

test('what is no size is undefined', () => {
  for (const text of ['', 'GiB', '-1', '1e9', '2G', '1,5GiB', '1 2', '0x10', '1.GiB', ' 1', '1GiB ', '1constructor']) assert.equal(parseByteSize(text), undefined, JSON.stringify(text))
})
