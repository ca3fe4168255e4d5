// A test file that no glob of the runner matches would never run, and nobody would notice.
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { TEST_GLOBS } from '../tools/test.ts'

const root = path.resolve(import.meta.dirname, '..')

test('every *.test.ts of the repository is matched by a glob of the test runner', () => {
  const all = globSync('**/*.test.ts', { cwd: root, exclude: (name) => name.includes('node_modules') })
  assert.ok(all.length > 50, `found only ${all.length} test files`)
  const missed = all.filter((file) => !TEST_GLOBS.some((glob) => path.matchesGlob(file, glob)))
  assert.deepEqual(missed, [])
})
