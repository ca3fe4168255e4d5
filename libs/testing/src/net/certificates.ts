// Certificates for tests: authorities of their own, made with openssl as an operator would.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'

export interface Certificate {
  /** PEM files. */
  readonly certFile: string
  readonly keyFile: string
  /** Of the authority that signed it. */
  readonly caFile: string
}

/** Why there can be no certificates here; false: there can. */
export const noOpenssl: string | false = hasOpenssl() ? false : 'openssl is not installed: no certificates to test with'

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** An authority named `name`, and a certificate that it signed, good for servers and clients at `hosts`, as openssl writes them. */
export function issueCertificate(folder: string, name: string, hosts: readonly string[] = ['DNS:localhost', 'IP:127.0.0.1']): Certificate {
  const file = (suffix: string): string => path.join(folder, `${name}.${suffix}`)
  const openssl = (...args: readonly string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
  openssl('req', '-x509', ...NEW_KEY, '-subj', `/CN=authority ${name}`, '-days', '2', '-keyout', file('ca.key'), '-out', file('ca.pem'))
  openssl('req', ...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', file('key'), '-out', file('csr'))
  writeFileSync(file('ext'), `subjectAltName=${hosts.join(',')}\n`)
  openssl('x509', '-req', '-in', file('csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', file('ext'), '-out', file('pem'))
  return { certFile: file('pem'), keyFile: file('key'), caFile: file('ca.pem') }
}
