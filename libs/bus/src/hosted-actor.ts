// An actor on a bus: supervised, reachable at its address while an incarnation is alive, with the effects that every
// shell performs (send, timer, cancel) and those its composer adds. Both shells host actors through this.
import { NEVER_RESTART, supervise, timerPort } from '@rubato/actor'
import type { Actor, Address, EffectTable, Incoming, RestartPolicy, Scheduler, Supervised, SupervisionEvent } from '@rubato/actor'
import type { Bus, Registration } from './bus.ts'
import { sendPort } from './send-port.ts'

/** One incarnation: its actor, and its ports beyond send, timer and cancel. */
export interface HostedIncarnation {
  readonly actor: Actor<unknown>
  readonly effects?: EffectTable
}

export interface HostedActorOptions {
  readonly address: Address
  /** Makes incarnation 1, 2, ... */
  readonly factory: (incarnation: number) => HostedIncarnation
  /** Default: never restarted. */
  readonly restart?: RestartPolicy
  /** In-flight limits of the shell's own kinds. Default 16384 each. */
  readonly limits?: { readonly send?: number; readonly timer?: number }
  readonly onEvent?: (event: SupervisionEvent) => void
  /** Sees everything just before the actor does. */
  readonly onIncoming?: (incoming: Incoming<unknown>) => void
}

export interface HostSurroundings {
  readonly bus: Bus
  readonly scheduler: Scheduler
}

const DEFAULT_LIMIT = 16_384

/** Hosts an actor. The address is registered while an incarnation is alive, so that senders notice its absence. */
export function hostOnBus(options: HostedActorOptions, { bus, scheduler }: HostSurroundings): Supervised {
  const { address, factory, limits, onEvent, onIncoming } = options
  let supervised: Supervised | null = null
  let registration: Registration | null = null
  // The first incarnation may be sent messages before supervise() has returned; a bus delivers after that.
  const receiver = (from: Address, payload: unknown): void => supervised?.deliver(from, payload)
  supervised = supervise({
    scheduler,
    restart: options.restart ?? NEVER_RESTART,
    factory: (incarnation) => {
      const { actor, effects } = factory(incarnation)
      const send = sendPort(bus, address, limits?.send ?? DEFAULT_LIMIT)
      const timer = timerPort(scheduler, limits?.timer ?? DEFAULT_LIMIT)
      return { actor, effects: { ...effects, send, timer } }
    },
    onEvent: (event) => {
      if (event.kind === 'started') registration = bus.register(address, receiver)
      if (event.kind === 'crashed' || event.kind === 'stopped') registration?.close()
      onEvent?.(event)
    },
    ...(onIncoming === undefined ? {} : { onIncoming }),
  })
  return supervised
}
