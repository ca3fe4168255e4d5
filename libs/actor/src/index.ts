export { EffectIds } from './effect-ids.ts'
export { CANCELLED, DONE, done, effectFailure, failed } from './effect-port.ts'
export { ActorHost } from './host.ts'
export { childContext } from './span.ts'
export { NEVER_RESTART, supervise } from './supervisor.ts'
export { timerPort } from './timer-port.ts'
export { TimerQueue } from './timer-queue.ts'

export type {
  Actor, Address, CancelEffect, Completion, Delivery, Effect, EffectFailure, EffectId, Incoming, Outcome, SendEffect, TimerEffect,
} from './actor.ts'
export type { EffectPort, EffectRun, EffectTable, Scheduler } from './effect-port.ts'
export type { ActorHostOptions } from './host.ts'
export type { Incarnation, IncarnationFactory, RestartPolicy, SuperviseOptions, Supervised, SupervisionEvent } from './supervisor.ts'
export type { SpanAttributes, SpanEffect, SpanRecord, TraceContext } from './span.ts'
export type { TimerEntry } from './timer-queue.ts'
