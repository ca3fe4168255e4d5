export { hostOnBus } from './hosted-actor.ts'
export { InProcessBus } from './in-process-bus.ts'
export { ReceiverTable } from './receiver-table.ts'
export { sendPort } from './send-port.ts'

export type { Bus, Receiver, Registration, SendOutcome } from './bus.ts'
export type { HostedActorOptions, HostedIncarnation, HostSurroundings } from './hosted-actor.ts'
export type { InProcessBusOptions } from './in-process-bus.ts'
export type { ReceiverBox, ReceiverTableOptions } from './receiver-table.ts'
