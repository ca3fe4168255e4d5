// A process's way into its cluster as its configuration says: NATS with what is in the credential files, and the transport
// that KV blocks travel by.
import { readFileSync } from 'node:fs'
import { connectNats } from '@rubato/bus'
import type { NatsCredentials, NatsLink, NatsTls } from '@rubato/bus'
import { InvalidArgument } from '@rubato/config'
import type { KvSettings, NatsLogin, NatsSettings } from '@rubato/config'
import { createKvTransport, readCertificates } from '@rubato/rpc'
import type { KvTls, KvTransport, OnKvTransfer } from '@rubato/rpc'
import type { ProcessLog } from './process-log.ts'

/** Rejects as connectNats does, and with InvalidArgument naming the flag of a file that cannot be read. */
export function openNats({ servers, cluster, login, tls }: NatsSettings, name: string, log: ProcessLog): Promise<NatsLink> {
  const credentials = credentialsOf(login)
  return connectNats({
    servers,
    cluster,
    name,
    ...(credentials === null ? {} : { credentials }),
    ...(tls === null ? {} : { tls: natsTls(tls) }),
    log: (level, message, fields) => log[level](fields, message),
    onProblem: (problem) => log.warn({ ...problem }, 'a bus message was dropped'),
  })
}

/** Rejects with RubatoError `address_in_use` naming --kv-port, and with InvalidArgument naming the flag of a file. */
export function openKvTransport({ host, port, advertiseAddress, advertisePort, tls }: KvSettings, onTransfer: OnKvTransfer): Promise<KvTransport> {
  return createKvTransport({ host, port, advertiseAddress, advertisePort, tls: readPeerTls(tls), onTransfer })
}

/** What both ends of a link between instances, or of one with a speculator, present; null: nothing. Throws InvalidArgument naming the flag of a file. */
export function readPeerTls(tls: KvSettings['tls']): KvTls | null {
  if (tls === null) return null
  const { certFile, keyFile, caFile } = tls
  const { cert, key, ca } = readCertificates({
    cert: { flag: 'cluster-certfile', file: certFile }, key: { flag: 'cluster-keyfile', file: keyFile }, ca: { flag: 'cluster-ca-certs', file: caFile },
  })
  return { cert, key, ca: ca! }
}

function credentialsOf(login: NatsLogin): NatsCredentials | null {
  switch (login.kind) {
    case 'none':
      return null
    case 'user':
      return { kind: 'password', user: login.user, password: login.password }
    case 'token':
      return login
    case 'creds':
      return { kind: 'creds', content: readText('nats-creds', login.file) }
    case 'nkey':
      return { kind: 'nkey', seed: readText('nats-nkey', login.file) }
  }
}

function natsTls({ caFile, certFile, keyFile }: NonNullable<NatsSettings['tls']>): NatsTls {
  return {
    ...(caFile === null ? {} : { ca: readText('nats-ca', caFile) }),
    ...(certFile === null ? {} : { cert: readText('nats-certfile', certFile) }),
    ...(keyFile === null ? {} : { key: readText('nats-keyfile', keyFile) }),
  }
}

function readText(flag: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new InvalidArgument(flag, `cannot read ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}
