// Values of the cluster groups as settings: NATS servers and credentials, and the listener for KV pulls.
import { InvalidArgument } from '../errors.ts'
import type { FlagValues } from '../flags/flag.ts'
import type { CLUSTER_FLAGS, DRAFT_LISTENER_FLAGS, KV_FLAGS } from '../groups/cluster-flags.ts'
import type { HOST_FLAGS } from '../groups/door-flags.ts'
import type { KvSettings, NatsLogin, NatsSettings } from './settings.ts'
import { isLoopback, isWildcard } from '../sources/machine.ts'
import type { Machine } from '../sources/machine.ts'
import type { OriginOf } from '../sources/read-values.ts'

type ClusterValues = FlagValues<typeof CLUSTER_FLAGS>
/** Of a listener that peers connect to. */
type PeerValues = FlagValues<typeof HOST_FLAGS & Omit<typeof KV_FLAGS, 'kv-port'>>

export function natsSettings(url: string, values: ClusterValues, originOf: OriginOf): NatsSettings {
  const servers = url.split(',').map((server) => serverOf(server.trim(), originOf))
  return { servers: servers.map(({ address }) => address), cluster: values.cluster, login: loginOf(servers, values, originOf), tls: tlsOf(values, originOf) }
}

interface Server {
  readonly address: string
  /** From `user:password@` or `token@`. */
  readonly login: NatsLogin
}

function serverOf(text: string, originOf: OriginOf): Server {
  const parts = /^((?:\w+:\/\/)?)(?:([^@]+)@)?(.+)$/.exec(text)
  if (parts === null) throw new InvalidArgument('nats', `(${originOf('nats')}) holds an empty server address`)
  const [, scheme = '', secret, host = ''] = parts
  return { address: scheme + host, login: secret === undefined ? { kind: 'none' } : loginInUrl(secret, originOf) }
}

function loginInUrl(secret: string, originOf: OriginOf): NatsLogin {
  try {
    const [user = '', password] = secret.split(':').map(decodeURIComponent)
    return password === undefined ? { kind: 'token', token: user } : { kind: 'user', user, password }
  } catch (cause) {
    throw new InvalidArgument('nats', `(${originOf('nats')}): user and password must be percent-encoded`, { cause })
  }
}

/** At most one way to log in. */
function loginOf(servers: readonly Server[], values: ClusterValues, originOf: OriginOf): NatsLogin {
  const inUrl = servers.map(({ login }) => login).find(({ kind }) => kind !== 'none')
  const ways: { readonly said: string; readonly login: NatsLogin }[] = []
  if (inUrl !== undefined) ways.push({ said: `credentials in --nats (${originOf('nats')})`, login: inUrl })
  if (values['nats-token'] !== null) ways.push({ said: `--nats-token (${originOf('nats-token')})`, login: { kind: 'token', token: values['nats-token'] } })
  for (const kind of ['creds', 'nkey'] as const) {
    const file = values[`nats-${kind}`]
    if (file !== null) ways.push({ said: `--nats-${kind} (${originOf(`nats-${kind}`)})`, login: { kind, file } })
  }
  if (ways.length > 1) throw new InvalidArgument('nats', `${ways.map(({ said }) => said).join(' and ')} contradict each other; keep one`)
  return ways[0]?.login ?? { kind: 'none' }
}

function tlsOf(values: ClusterValues, originOf: OriginOf): NatsSettings['tls'] {
  const [caFile, certFile, keyFile] = [values['nats-ca'], values['nats-certfile'], values['nats-keyfile']]
  if (certFile !== null && keyFile === null) throw new InvalidArgument('nats-keyfile', `is missing, but --nats-certfile is given (${originOf('nats-certfile')})`)
  if (keyFile !== null && certFile === null) throw new InvalidArgument('nats-certfile', `is missing, but --nats-keyfile is given (${originOf('nats-keyfile')})`)
  return caFile === null && certFile === null ? null : { caFile, certFile, keyFile }
}

/** What peers may connect to. */
interface PeerListener {
  readonly port: number
  /** As messages call it. */
  readonly said: string
}

/** Whoever reaches this listener may try tokens on it: beyond this machine it is shut without mutual TLS. */
export function kvSettings(values: PeerValues & FlagValues<Pick<typeof KV_FLAGS, 'kv-port'>>, machine: Machine, originOf: OriginOf): KvSettings {
  return peerSettings(values, { port: values['kv-port'], said: 'the port that KV blocks are pulled from' }, machine, originOf)
}

/** Whoever reaches this listener uses the draft model, and sees nothing of others' requests. */
export function draftListenerSettings(values: PeerValues & FlagValues<Pick<typeof DRAFT_LISTENER_FLAGS, 'draft-port'>>, machine: Machine, originOf: OriginOf): KvSettings {
  return peerSettings(values, { port: values['draft-port'], said: 'the port that tokens are drafted at' }, machine, originOf)
}

function peerSettings(values: PeerValues, { port, said }: PeerListener, machine: Machine, originOf: OriginOf): KvSettings {
  const tls = clusterTls(values, originOf)
  if (!isLoopback(values.host) && tls === null && !values.insecure) {
    throw new InvalidArgument(
      'host',
      `${values.host} (${originOf('host')}) can be reached by others, and with it ${said}; give --cluster-certfile, --cluster-keyfile and --cluster-ca-certs, or --insecure to do without`,
    )
  }
  return { host: values.host, port, ...advertised(values, machine, originOf), tls }
}

type Advertised = Pick<KvSettings, 'advertiseAddress' | 'advertisePort'>

function advertised(values: PeerValues, { addresses }: Machine, originOf: OriginOf): Advertised {
  const given = values['advertise-address']
  if (given !== null) return splitPort(given, originOf)
  if (!isWildcard(values.host)) return { advertiseAddress: values.host, advertisePort: null }
  const [first] = addresses
  if (first !== undefined) return { advertiseAddress: first, advertisePort: null }
  throw new InvalidArgument('advertise-address', `is needed: --host is ${values.host} (${originOf('host')}) and this machine has no address that others could use`)
}

/** `host`, `host:port`, `[v6]:port`; an IPv6 address alone has more than one colon. */
function splitPort(given: string, originOf: OriginOf): Advertised {
  const parts = /^(?:\[([\w.:-]+)\]|([^:]+)):(\d+)$/.exec(given)
  if (parts === null) return { advertiseAddress: given, advertisePort: null }
  const port = Number(parts[3])
  if (port < 1 || port > 65_535) throw new InvalidArgument('advertise-address', `(${originOf('advertise-address')}) has a port that is not within 1..65535`)
  return { advertiseAddress: parts[1] ?? parts[2]!, advertisePort: port }
}

function clusterTls(values: PeerValues, originOf: OriginOf): KvSettings['tls'] {
  const names = ['cluster-certfile', 'cluster-keyfile', 'cluster-ca-certs'] as const
  const has = names.find((name) => values[name] !== null)
  const missing = names.find((name) => values[name] === null)
  if (has !== undefined && missing !== undefined) throw new InvalidArgument(missing, `is missing, but --${has} is given (${originOf(has)}); mutual TLS needs certificate, key and authority`)
  const { 'cluster-certfile': certFile, 'cluster-keyfile': keyFile, 'cluster-ca-certs': caFile } = values
  return certFile === null || keyFile === null || caFile === null ? null : { certFile, keyFile, caFile }
}
