export { compareEpochs } from './epoch.ts'
export { InstanceActor } from './instance-actor.ts'
export type { DraftEffect, DraftNewsEffect, EngineEffect, InstanceEffect, InstancePayload, KvPulled, KvPullEffect, KvServeEffect } from './effects.ts'
export type { InstanceConfig, InstanceLimits, SignOffer } from './instance-config.ts'
export type { SpeculatorPeer } from './speculation/remote/known-speculators.ts'
export type {
  AbortMessage, AckMessage, AttachMessage, BeginMessage, DrainMessage, Epoch, FinishReason, GenerateMessage, GoneMessage, HelloMessage, InstanceMessage,
  InstanceReport, InstanceRole, LoadMessage, LocatedMessage, LocateMessage, MayBeginMessage, MemberGoneMessage, MigrateMessage, MigrationCounts, PeerInstance, RefusedMessage, ResendMessage,
  SequenceTiming, SetRoleMessage, Slo, SpeculatorJoinedMessage, TokenRun, TokensMessage,
} from './messages.ts'
export type {
  DeclinedMessage, HandedSequence, HandOffMessage, NotPulledMessage, OfferMessage, PeerMessage, ReservedMessage, ReserveMessage, TakenMessage,
} from './peer-messages.ts'
