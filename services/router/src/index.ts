export type {
  ChatMessage, ClientError, ClientErrorCode, ClientEvent, ClientFinish, ClientHandle, ClientInput, ClientRequest, ClientSampling, ClientSink, ModelCard,
  RequestTiming, RouterPort, TextLogprobs, Usage,
} from './client.ts'
export { startAdminDoor } from './admin/admin-door.ts'
export { CLUSTER_METRIC_NAMES, renderClusterMetrics } from './admin/cluster-metrics.ts'
export { startGrpcFrontDoor } from './grpc/front-door.ts'
export { startHttpFrontDoor } from './http/front-door.ts'
export { DEFAULT_LIMITS } from './front-door/options.ts'
export type { FrontDoor, FrontDoorLimits, FrontDoorLog, FrontDoorOptions, HttpFrontDoorOptions } from './front-door/options.ts'
export { RouterActor } from './actor/router-actor.ts'
export { ROUTER_TIMING } from './actor/state/messages.ts'
export { METRIC_NAMES, renderMetrics } from './metrics.ts'
export { createRouterPort, textStreamsOf } from './router-port.ts'
export type {
  ClientDelivery, ClientId, ClientSignalMessage, DeliverEffect, FrontDoorMessage, RouterConfig, RouterDrainMessage, RouterEffect, RouterMessage, RouterParts,
  RouterTiming, SamplingCheck, SamplingDefaults, ServedModel, StopStringStream, SubmitMessage, TextStreams, TokenizeEffect, TokenTextStream,
} from './actor/state/messages.ts'
export type { FleetSnapshot, ModelSnapshot, RequestOutcome, RouterSnapshot, StatsSnapshot } from './actor/state/stats.ts'
export type { PromptText, RouterPortOptions, RouterPortParts } from './router-port.ts'
export type { AdminDoorOptions } from './admin/admin-door.ts'
export type { ClusterPort } from './admin/cluster-port.ts'
export type { InstanceView } from './actor/state/instances.ts'
