// Whose certificate a NATS server has to show. The client compares it with the name in the URL, but where that is an IP
// address with `localhost`: a right certificate would be refused, and one for another machine taken.
import { isIP } from 'node:net'
import { checkServerIdentity } from 'node:tls'
import type { PeerCertificate } from 'node:tls'

/** What the client asks for in place of an IP address. */
const UNNAMED = 'localhost'

export type IdentityCheck = (host: string, certificate: PeerCertificate) => Error | undefined

/** `servers`: `host:port`, as the client is told. Servers given by address may show each other's certificate: which of them is connected to is not said. */
export function identityCheck(servers: readonly string[]): IdentityCheck {
  const hosts = servers.map((server) => new URL(`nats://${server}`).hostname.replace(/^\[|\]$/g, ''))
  const addresses = hosts.filter((host) => isIP(host) !== 0)
  return (host, certificate) => {
    const wanted = host === UNNAMED && !hosts.includes(UNNAMED) ? addresses : [host]
    const problems = wanted.map((each) => checkServerIdentity(each, certificate))
    return problems.includes(undefined) ? undefined : problems[0]
  }
}
