// The gRPC server that operators use: rubato.v1.Cluster, health and reflection, on a listener of its own.
import { InvalidArgument } from '@rubato/config'
import { loadClusterPackage, startGrpcServer } from '@rubato/rpc'
import type { TlsFiles } from '@rubato/rpc'
import { BlockList } from 'node:net'
import type { FrontDoor, FrontDoorLog } from '../front-door/options.ts'
import type { ClusterPort } from './cluster-port.ts'
import { clusterService } from './cluster-service.ts'

export interface AdminDoorOptions {
  readonly cluster: ClusterPort
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** @default --admin-port */
  readonly portFlag?: string
  /** Bearer token that operators must present; null: none. */
  readonly apiKey: string | null
  readonly tls: TlsFiles | null
  /** Serve others than this machine although nothing proves who calls (--insecure). @default false */
  readonly insecure?: boolean
  readonly log: FrontDoorLog
}

const MAX_REQUEST_BYTES = 64 * 1024

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

function isLoopback(host: string): boolean {
  return host === 'localhost' || LOOPBACK.check(host, host.includes(':') ? 'ipv6' : 'ipv4')
}

/**
 * Starts serving. Throws RubatoError `address_in_use` (naming the flag) or `bind_failed`, and InvalidArgument where the host
 * is reachable from elsewhere and neither a key nor client certificates are asked for.
 */
export async function startAdminDoor(options: AdminDoorOptions): Promise<FrontDoor> {
  const { cluster, host, port, portFlag = '--admin-port', apiKey, tls, insecure = false, log } = options
  const isGuarded = (apiKey !== null && apiKey !== '') || (tls !== null && tls.clientCa !== null)
  if (!isGuarded && !insecure && !isLoopback(host)) {
    throw new InvalidArgument('--api-key', `the admin listener on ${host} would let anyone drain the cluster: set --api-key, ask for client certificates with --ssl-ca-certs, listen on 127.0.0.1, or accept it with --insecure`)
  }
  const service = clusterService({ cluster, apiKey, log })
  const definition = loadClusterPackage().rubato.v1.Cluster.service
  const server = await startGrpcServer({
    host, port, portFlag, tls,
    services: [{ name: 'rubato.v1.Cluster', definition, handlers: service.handlers }],
    // The listener answers for the cluster whether or not an instance can serve.
    ready: () => true,
    maxReceiveBytes: MAX_REQUEST_BYTES,
  })
  return {
    port: server.port,
    close: async (deadlineMs) => {
      service.close()
      await server.close(deadlineMs)
    },
  }
}
