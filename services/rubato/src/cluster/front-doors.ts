// The listeners of a router: HTTP and gRPC for clients, and for operators the admin door.
import type { DoorSettings, TlsPaths } from '@rubato/config'
import { readCertificates } from '@rubato/rpc'
import type { TlsFiles } from '@rubato/rpc'
import { renderClusterMetrics, renderMetrics, startAdminDoor, startGrpcFrontDoor, startHttpFrontDoor } from '@rubato/service-router'
import type { ClusterPort, FrontDoor, RouterActor, RouterPort } from '@rubato/service-router'
import type { Logger } from 'pino'

export interface FrontDoorParts {
  readonly config: DoorSettings
  readonly router: RouterPort
  readonly cluster: ClusterPort
  /** null: nothing to measure at the moment. */
  readonly actor: () => RouterActor | null
  readonly log: Logger
  readonly version: string
}

export interface FrontDoors {
  readonly httpPort: number
  readonly grpcPort: number
  /** null: no admin door. */
  readonly adminPort: number | null
  close(deadlineMs: number): Promise<void>
}

/** Throws RubatoError `address_in_use` or `bind_failed` naming the flag; nothing is open then. */
export async function openFrontDoors({ config, router, cluster, actor, log, version }: FrontDoorParts): Promise<FrontDoors> {
  const { host, apiKey, insecure } = config
  const tls = tlsOf(config.tls)
  const metrics = (): string => {
    const current = actor()
    return current === null ? '' : renderMetrics(current.snapshot()) + renderClusterMetrics(current.instances())
  }
  const opened: FrontDoor[] = []
  const open = async <D extends FrontDoor>(door: Promise<D>): Promise<number> => {
    opened.push(await door)
    return opened.at(-1)!.port
  }
  const close = async (deadlineMs: number): Promise<void> => {
    await Promise.all(opened.map((door) => door.close(deadlineMs)))
  }
  try {
    const httpPort = await open(startHttpFrontDoor({ router, host, apiKey, tls, log, port: config.httpPort, metrics, version }))
    const grpcPort = await open(startGrpcFrontDoor({ router, host, apiKey, tls, log, port: config.grpcPort }))
    const adminPort = config.adminPort === null ? null : await open(startAdminDoor({ cluster, host, apiKey, tls, log, insecure, port: config.adminPort }))
    return { httpPort, grpcPort, adminPort, close }
  } catch (error) {
    await close(0)
    throw error
  }
}

/** `http://host:port grpc://host:port [admin=host:port]`, as ready lines show them. */
export function addressesOf({ httpPort, grpcPort, adminPort }: Omit<FrontDoors, 'close'>, { host, tls }: DoorSettings): string {
  const at = (port: number): string => `${host.includes(':') ? `[${host}]` : host}:${port}`
  const admin = adminPort === null ? '' : ` admin=${at(adminPort)}`
  return `${tls === null ? 'http' : 'https'}://${at(httpPort)} grpc://${at(grpcPort)}${admin}`
}

function tlsOf(paths: TlsPaths | null): TlsFiles | null {
  if (paths === null) return null
  const { certFile, keyFile, caFile } = paths
  const { cert, key, ca } = readCertificates({
    cert: { flag: 'ssl-certfile', file: certFile }, key: { flag: 'ssl-keyfile', file: keyFile }, ca: caFile === null ? null : { flag: 'ssl-ca-certs', file: caFile },
  })
  return { cert, key, clientCa: ca }
}
