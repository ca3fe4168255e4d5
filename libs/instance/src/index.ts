export { compareEpochs } from './epoch.ts'
export { InstanceActor } from './instance-actor.ts'
export type { EngineEffect, InstanceEffect } from './effects.ts'
export type { InstanceConfig, InstanceLimits } from './instance-config.ts'
export type {
  AbortMessage, AckMessage, DrainMessage, Epoch, FinishReason, GenerateMessage, GoneMessage, HelloMessage, InstanceMessage, InstanceReport,
  LoadMessage, RefusedMessage, ResendMessage, SequenceTiming, Slo, TokenRun, TokensMessage,
} from './messages.ts'
