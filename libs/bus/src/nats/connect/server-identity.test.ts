import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PeerCertificate } from 'node:tls'
import { identityCheck } from './server-identity.ts'

/** As node:tls describes a certificate for these names. */
const certificateFor = (subjectaltname: string): PeerCertificate => ({ subject: { CN: 'nats' }, subjectaltname }) as unknown as PeerCertificate

/** What the client says of the host it connected to, by how it was given. */
const UNNAMED = 'localhost'

test('a server given by address has to name that address, however the client calls it', () => {
  const check = identityCheck(['10.1.2.3:4222', '[fd00::7]:4222'])
  assert.equal(check(UNNAMED, certificateFor('IP Address:10.1.2.3')), undefined)
  assert.equal(check(UNNAMED, certificateFor('IP Address:FD00:0:0:0:0:0:0:7')), undefined)
  for (const names of ['DNS:localhost', 'IP Address:10.1.2.4', 'DNS:10.1.2.3']) assert.match(check(UNNAMED, certificateFor(names))!.message, /10\.1\.2\.3/, names)
})

test('a server given by name has to show that name', () => {
  const check = identityCheck(['nats.example:4222'])
  assert.equal(check('nats.example', certificateFor('DNS:nats.example')), undefined)
  assert.ok(check('nats.example', certificateFor('DNS:localhost')))
  assert.equal(identityCheck(['localhost:4222'])(UNNAMED, certificateFor('DNS:localhost')), undefined)
})
