export type {
  Actor, Address, CancelEffect, Completion, Delivery, Effect, EffectFailure, EffectId, Incoming, Outcome, SendEffect, TimerEffect,
} from './actor.ts'
