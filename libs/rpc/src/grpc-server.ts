// A gRPC server with what every one of ours has: health, reflection, TLS, keep-alive and a bounded shutdown.
import { Server, ServerCredentials } from '@grpc/grpc-js'
import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js'
import { ReflectionService } from '@grpc/reflection'
import { RubatoError } from '@rubato/config'
import { listenDiverted } from './diverted-listener.ts'
import type { Divert, DivertedListener } from './diverted-listener.ts'
import { addHealth } from './health.ts'
import { loadForReflection } from './protos.ts'

/** PEM texts. With `clientCa` clients must present a certificate that it signed. */
export interface TlsFiles {
  readonly cert: Buffer
  readonly key: Buffer
  readonly clientCa: Buffer | null
}

export interface GrpcService {
  /** Full name, e.g. `rubato.v1.Inference`. */
  readonly name: string
  readonly definition: ServiceDefinition
  readonly handlers: UntypedServiceImplementation
}

export interface GrpcServerOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** The flag that sets the port, for the message when it is taken. */
  readonly portFlag: string
  readonly tls: TlsFiles | null
  readonly services: readonly GrpcService[]
  /** Health of every service: SERVING while true. */
  readonly ready: () => boolean
  readonly maxReceiveBytes: number
  /** Another protocol on the same port. @default none */
  readonly divert?: Divert
}

export interface GrpcServerHandle {
  readonly port: number
  /** Stops accepting, says NOT_SERVING, waits for running calls; after `deadlineMs` ends them. */
  close(deadlineMs: number): Promise<void>
}

const KEEPALIVE_TIME_MS = 20_000
const KEEPALIVE_TIMEOUT_MS = 10_000

function credentials(tls: TlsFiles | null): ServerCredentials {
  if (tls === null) return ServerCredentials.createInsecure()
  const pair = [{ cert_chain: tls.cert, private_key: tls.key }]
  return ServerCredentials.createSsl(tls.clientCa, pair, tls.clientCa !== null)
}

function bindAlone(server: Server, { host, port, tls }: GrpcServerOptions): Promise<DivertedListener> {
  return new Promise((resolve, reject) => {
    server.bindAsync(addressOf({ host, port }), credentials(tls), (error, boundPort) => (error === null ? resolve({ port: boundPort, close: () => {} }) : reject(error)))
  })
}

function addressOf({ host, port }: Pick<GrpcServerOptions, 'host' | 'port'>): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

async function bind(server: Server, options: GrpcServerOptions): Promise<DivertedListener> {
  const { divert, portFlag: field, tls } = options
  try {
    return await (divert === undefined ? bindAlone(server, options) : listenDiverted(server, credentials(tls), divert, options))
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    if (/EADDRINUSE/.test(message)) throw new RubatoError('address_in_use', `gRPC port ${addressOf(options)} is taken: free it or choose another with ${field}`, { field, cause })
    throw new RubatoError('bind_failed', `cannot listen for gRPC on ${addressOf(options)}: ${message}`, { field, cause })
  }
}

/** Starts serving. Throws RubatoError `address_in_use` (naming the flag) or `bind_failed`. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServerHandle> {
  const server = new Server({
    'grpc.max_receive_message_length': options.maxReceiveBytes,
    // A peer that vanished without a FIN holds blocks until this notices.
    'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
  })
  for (const { definition, handlers } of options.services) server.addService(definition, handlers)
  const names = options.services.map((service) => service.name)
  const health = addHealth(server, names, options.ready)
  new ReflectionService(loadForReflection(), { services: [...names, 'grpc.health.v1.Health'] }).addToServer(server)
  const listener = await bind(server, options).catch((error: unknown) => {
    health.stop()
    server.forceShutdown()
    throw error
  })
  let closing: Promise<void> | null = null
  const close = (deadlineMs: number): Promise<void> => {
    health.stop()
    listener.close()
    return new Promise((resolve) => {
      const timer = setTimeout(() => server.forceShutdown(), deadlineMs)
      server.tryShutdown(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
  return { port: listener.port, close: (deadlineMs) => (closing ??= close(deadlineMs)) }
}
