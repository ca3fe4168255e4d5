// One connection of a process to its cluster: bus, membership and elections over it, for as long as the process lives.
//
// 1. It reconnects for ever. Subscriptions come back with it, leases and the bucket as soon as somebody asks for them.
// 2. A server that does not answer pings is taken for gone before a lease could be fenced: `LEASE_TIMES.fenceAfterMs`
//    less `renewEveryMs` is more than three pings.
import { setTimeout as sleep } from 'node:timers/promises'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, credsAuthenticator, errors as natsErrors, nkeyAuthenticator, tokenAuthenticator, usernamePasswordAuthenticator } from '@nats-io/transport-node'
import type { Authenticator, NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node'
import { InvalidArgument } from '@rubato/config'
import type { RubatoError } from '@rubato/config'
import type { Bus } from '../../bus.ts'
import { LEASE_TIMES } from '../../lease/lease-rules.ts'
import type { Membership } from '../../membership.ts'
import { connectFailure, noJetStream } from './connect-failure.ts'
import type { ConnectNatsOptions, NatsCredentials, NatsTls } from './connect-options.ts'
import { ConnectionState } from '../connection-state.ts'
import type { ConnectionStatus } from '../connection-state.ts'
import { LeaseBucket } from '../lease/lease-bucket.ts'
import { electLeader } from '../lease/leader.ts'
import type { Election, ElectionOptions } from '../lease/leader.ts'
import { NatsMembership } from '../lease/nats-membership.ts'
import { NatsBus } from '../nats-bus.ts'
import { parseServerUrls } from './server-urls.ts'
import { identityCheck } from './server-identity.ts'
import { checkCluster } from '../subjects.ts'

export interface NatsLink {
  readonly bus: Bus
  readonly membership: Membership
  electLeader(options: ElectionOptions): Election
  readonly isConnected: boolean
  /** Largest message that the server takes, as it said when it was last connected to. */
  readonly maxPayloadBytes: number
  /** Tells changes from now on. Returns the end of it. */
  onStatus(listener: (status: ConnectionStatus) => void): () => void
  /** Gives leases and leads back, sends what is under way, and ends; within about 2 s whatever the server does. */
  close(): Promise<void>
}

const DEFAULT_CONNECT_TIMEOUT_MS = 5000
const PING_INTERVAL_MS = 300
const MAX_PINGS_OUT = 2
const RECONNECT_EVERY_MS = 100
const RECONNECT_JITTER_MS = 100
const CLOSE_TIMEOUT_MS = 1000

/**
 * Connects, or rejects: RubatoError `nats_unreachable`, `nats_unauthorized`, `nats_tls`, `nats_no_jetstream`, or InvalidArgument,
 * each of which names the flag and what to do.
 */
export async function connectNats(options: ConnectNatsOptions): Promise<NatsLink> {
  const cluster = checkCluster(options.cluster)
  const urls = parseServerUrls(options.servers)
  const clientOptions = clientOptionsOf(options, urls)
  const failure = (cause: unknown): RubatoError => connectFailure(urls.servers, clientOptions.tls !== undefined, cause)
  const connection = await connect(clientOptions).catch((cause: unknown) => { throw failure(cause) })
  await jetstreamManager(connection, { timeout: options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS }).catch(async (cause: unknown) => {
    await connection.close()
    throw cause instanceof natsErrors.TimeoutError ? failure(cause) : noJetStream(urls.servers, cause)
  })
  const state = new ConnectionState()
  void followStatus(connection, state, options)
  const times = options.leaseTimes ?? LEASE_TIMES
  const now = options.now ?? (() => performance.now())
  const surroundings = { bucket: new LeaseBucket({ connection, state, cluster, ttlMs: times.ttlMs }), state, times, now }
  const membership = new NatsMembership(surroundings)
  const elections: Election[] = []
  const { onProblem } = options
  const bus = new NatsBus({ connection, state, cluster, isFenced: (address) => membership.isFenced(address), ...(onProblem === undefined ? {} : { onProblem }) })
  return {
    bus,
    membership,
    electLeader: (election) => {
      const stood = electLeader(surroundings, election)
      elections.push(stood)
      return stood
    },
    get isConnected() { return state.isConnected },
    get maxPayloadBytes() { return connection.info?.max_payload ?? 0 },
    onStatus: (listener) => state.subscribe(listener),
    close: () => closeLink(connection, [membership.close(), ...elections.map((election) => election.resign())]),
  }
}

function clientOptionsOf(options: ConnectNatsOptions, urls: ReturnType<typeof parseServerUrls>): NodeConnectionOptions {
  const tls = options.tls ?? (urls.wantsTls ? {} : null)
  const credentials = options.credentials ?? urls.credentials
  return {
    servers: [...urls.servers],
    name: options.name,
    timeout: options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_EVERY_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    reconnectJitterTLS: RECONNECT_JITTER_MS,
    // A server that restarts with other credentials for a while must not end the connection for good.
    ignoreAuthErrorAbort: true,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: MAX_PINGS_OUT,
    ...(tls === null ? {} : { tls: tlsOptions(tls, urls.servers) }),
    ...(credentials === null ? {} : { authenticator: authenticatorOf(credentials) }),
  }
}

function tlsOptions({ ca, cert, key }: NatsTls, servers: readonly string[]): NonNullable<NodeConnectionOptions['tls']> {
  // Handed on to node:tls as it is, which the client's own type does not say.
  const identity = { checkServerIdentity: identityCheck(servers) }
  return { ...identity, ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) }
}

function authenticatorOf(credentials: NatsCredentials): NonNullable<NodeConnectionOptions['authenticator']> {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
  switch (credentials.kind) {
    case 'password':
      return usernamePasswordAuthenticator(credentials.user, credentials.password)
    case 'token':
      return tokenAuthenticator(credentials.token)
    case 'creds':
      return usable('--nats-creds', 'is no credentials file (a user JWT and its seed, as nsc writes it)', credsAuthenticator(bytes(credentials.content)))
    case 'nkey':
      return usable('--nats-nkey', 'holds no NKey seed of a user (SU...)', nkeyAuthenticator(bytes(credentials.seed.trim())))
  }
}

/** The keys are read only when the server asks for a signature: what cannot be used is told before. */
function usable(flag: string, problem: string, authenticator: Authenticator): Authenticator {
  try {
    authenticator('challenge')
  } catch (cause) {
    throw new InvalidArgument(flag, problem, { cause })
  }
  return authenticator
}

async function followStatus(connection: NatsConnection, state: ConnectionState, { log }: ConnectNatsOptions): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'disconnect' && state.isConnected) {
      state.set('disconnected')
      log?.('warn', 'NATS server lost, reconnecting', { server: status.server })
    } else if (status.type === 'reconnect') {
      state.set('connected')
      log?.('info', 'NATS server is back', { server: status.server })
    } else if (status.type === 'error') {
      log?.('error', 'NATS server reports an error', { error: status.error.message })
    }
  }
  state.set('disconnected')
  const error = await connection.closed()
  if (error instanceof Error) log?.('error', 'NATS connection ended', { error: error.message })
}

async function closeLink(connection: NatsConnection, releases: readonly Promise<void>[]): Promise<void> {
  await Promise.race([Promise.all(releases), sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false })])
  if (connection.isClosed()) return
  await Promise.race([connection.flush().catch(() => {}), sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false })])
  await connection.close()
}
