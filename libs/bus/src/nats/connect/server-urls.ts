// The value of --nats: one or several URLs, with or without credentials in them.
import { InvalidArgument } from '@rubato/config'
import type { NatsCredentials } from './connect-options.ts'

export interface ServerUrls {
  /** `host:port`, as the client takes them. */
  readonly servers: readonly string[]
  /** Taken out of the URLs, so that they are in no message and no log. */
  readonly credentials: NatsCredentials | null
  /** One of them is `tls://`. */
  readonly wantsTls: boolean
}

/** Throws InvalidArgument for what is not nats://host:port or tls://host:port. Schema and port may be left out. */
export function parseServerUrls(texts: readonly string[]): ServerUrls {
  if (texts.length === 0) throw new InvalidArgument('--nats', '--nats is empty: give a URL such as nats://127.0.0.1:4222')
  let credentials: NatsCredentials | null = null
  let wantsTls = false
  const servers = texts.map((text) => {
    const url = parse(text)
    if (url.protocol === 'tls:') wantsTls = true
    if (url.username !== '') {
      const user = decodeURIComponent(url.username)
      credentials = url.password === '' ? { kind: 'token', token: user } : { kind: 'password', user, password: decodeURIComponent(url.password) }
    }
    return `${url.hostname}:${url.port === '' ? '4222' : url.port}`
  })
  return { servers, credentials, wantsTls }
}

function parse(text: string): URL {
  const full = text.includes('://') ? text : `nats://${text}`
  if (!URL.canParse(full)) throw malformed()
  const url = new URL(full)
  if ((url.protocol !== 'nats:' && url.protocol !== 'tls:') || url.hostname === '' || !['', '/'].includes(url.pathname)) throw malformed()
  return url
}

/** Does not repeat the URL: it may hold a password. */
function malformed(): InvalidArgument {
  return new InvalidArgument('--nats', '--nats: not a NATS URL. Use nats://host:4222 or tls://host:4222, several separated by commas')
}
