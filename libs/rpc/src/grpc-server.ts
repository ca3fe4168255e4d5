// A gRPC server with what every one of ours has: health, reflection, TLS, keep-alive and a bounded shutdown.
import { Server, ServerCredentials } from '@grpc/grpc-js'
import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js'
import { ReflectionService } from '@grpc/reflection'
import { RubatoError } from '@rubato/config'
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

function bind(server: Server, options: GrpcServerOptions): Promise<number> {
  const { host, port, portFlag, tls } = options
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials(tls), (error, boundPort) => {
      if (error === null) resolve(boundPort)
      else if (/EADDRINUSE/.test(error.message)) reject(new RubatoError('address_in_use', `gRPC port ${address} is taken: free it or choose another with ${portFlag}`, { field: portFlag, cause: error }))
      else reject(new RubatoError('bind_failed', `cannot listen for gRPC on ${address}: ${error.message}`, { field: portFlag, cause: error }))
    })
  })
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
  const port = await bind(server, options).catch((error: unknown) => {
    health.stop()
    server.forceShutdown()
    throw error
  })
  let closing: Promise<void> | null = null
  const close = (deadlineMs: number): Promise<void> => {
    health.stop()
    return new Promise((resolve) => {
      const timer = setTimeout(() => server.forceShutdown(), deadlineMs)
      server.tryShutdown(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
  return { port, close: (deadlineMs) => (closing ??= close(deadlineMs)) }
}
