// Folders that live as long as one test.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'

/** A fresh, empty folder, removed when the test ends. */
export function temporaryFolder(test: Pick<TestContext, 'after'>): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'rubato-test-'))
  test.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
