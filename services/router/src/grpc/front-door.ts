// The gRPC server that clients use: rubato.v1.Inference, health and reflection.
import { loadInferencePackage, startGrpcServer } from '@rubato/rpc'
import { DEFAULT_LIMITS } from '../front-door/options.ts'
import type { FrontDoor, FrontDoorOptions } from '../front-door/options.ts'
import { inferenceService } from './inference-service.ts'

/** Starts serving. Throws RubatoError `address_in_use` (naming the flag) or `bind_failed`. */
export async function startGrpcFrontDoor(options: FrontDoorOptions): Promise<FrontDoor> {
  const service = inferenceService(options)
  const definition = loadInferencePackage().rubato.v1.Inference.service
  const server = await startGrpcServer({
    host: options.host,
    port: options.port,
    portFlag: options.portFlag ?? '--grpc-port',
    tls: options.tls ?? null,
    services: [{ name: 'rubato.v1.Inference', definition, handlers: service.handlers }],
    ready: () => options.router.ready(),
    maxReceiveBytes: options.limits?.maxRequestBytes ?? DEFAULT_LIMITS.maxRequestBytes,
  }).catch((error: unknown) => {
    service.close()
    throw error
  })
  return {
    port: server.port,
    close: async (deadlineMs) => {
      await server.close(deadlineMs)
      service.close()
    },
  }
}
