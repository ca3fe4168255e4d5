import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@rubato/testing'
import { readCertificates } from './certificate-files.ts'

test('a file that cannot be read, or is no certificate, is told by its flag and without its contents', (t) => {
  const folder = temporaryFolder(t)
  const write = (name: string, text: string): string => {
    const file = path.join(folder, name)
    writeFileSync(file, text)
    return file
  }
  const keyFile = write('key.pem', generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  const key = { flag: 'ssl-keyfile', file: keyFile }
  const cert = (file: string) => ({ flag: 'ssl-certfile', file })
  assert.throws(() => readCertificates({ cert: cert('/nowhere.pem'), key, ca: null }), { code: 'invalid_argument', field: 'ssl-certfile', message: /cannot read \/nowhere\.pem/ })
  const notes = write('notes.txt', 'parsley')
  assert.throws(() => readCertificates({ cert: cert(notes), key, ca: null }), { field: 'ssl-certfile', message: `${notes} is not a PEM certificate` })
  assert.throws(() => readCertificates({ cert: cert(keyFile), key, ca: null }), { field: 'ssl-certfile', message: /is not a PEM certificate/ })
})
