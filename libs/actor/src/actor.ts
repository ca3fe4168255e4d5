// The pure actor: a state machine without I/O. It receives one message at a time and returns effects, which are plain
// values; a shell performs them and reports back.
//
// 1. Every effect has an id, unique within its actor's life, and gets exactly one completion: done, failed, cancelled or rejected.
// 2. A completion whose id the actor no longer knows is a no-op.
// 3. Each kind of effect has an in-flight limit; what exceeds it is `rejected` at once. Nothing queues without bound.
// 4. `nowMs` is monotonic within a process and never crosses the wire.

export type EffectId = number

/** Where messages go: `router/r1`, `instance/i1`. Opaque to everyone but the bus. */
export type Address = string

export interface Effect {
  readonly kind: string
  readonly id: EffectId
}

/** Publishes a message to another actor. `done` means handed to the transport, not that it was received. */
export interface SendEffect<P = unknown> extends Effect {
  readonly kind: 'send'
  readonly to: Address
  readonly payload: P
}

/** Completes with `done` after delayMs, or `cancelled`. */
export interface TimerEffect extends Effect {
  readonly kind: 'timer'
  readonly delayMs: number
}

/** Cancels another effect of the same actor; that effect completes with `cancelled` unless it already completed. */
export interface CancelEffect extends Effect {
  readonly kind: 'cancel'
  readonly target: EffectId
}

export interface EffectFailure {
  readonly code: string
  readonly message: string
  readonly retryable: boolean
}

export type Outcome =
  | { readonly kind: 'done'; readonly value: unknown }
  | { readonly kind: 'failed'; readonly error: EffectFailure }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'rejected'; readonly reason: string }

export interface Completion {
  readonly kind: 'completion'
  readonly effectId: EffectId
  readonly effectKind: string
  readonly outcome: Outcome
}

export interface Delivery<M> {
  readonly kind: 'message'
  readonly from: Address
  readonly payload: M
}

export type Incoming<M> = Delivery<M> | Completion

export interface Actor<M, E extends Effect = Effect> {
  /** One synchronous state transition. A throw is a bug in the actor: the shell ends this incarnation. */
  receive(incoming: Incoming<M>, nowMs: number): readonly E[]
  /** Effects to perform once, before any message. */
  start(nowMs: number): readonly E[]
}
