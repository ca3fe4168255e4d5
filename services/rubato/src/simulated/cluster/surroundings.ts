// What all processes of one simulated cluster share.
import { LEASE_TIMES } from '@rubato/bus/lease'
import { SimBroker, SimBus, SimKvNetwork } from '@rubato/sim'
import type { SimWorld } from '@rubato/sim'
import type { SimClusterOptions } from './options.ts'

export interface Surroundings {
  readonly world: SimWorld
  readonly options: SimClusterOptions
  readonly bus: SimBus
  readonly broker: SimBroker
  readonly kv: SimKvNetwork
  /** Rises: no two lives, stays or clients of a cluster share one. */
  readonly nextNonce: () => number
  /** A command was the death of the process of this name. */
  readonly onProcessDeath: (name: string) => void
  /** A process lost its name and comes back under a new address. */
  readonly onFenced: () => void
  /** An actor or an engine threw: a bug. */
  readonly onCrash: (error: unknown) => void
}

export function openSurroundings(options: SimClusterOptions, events: Pick<Surroundings, 'onCrash' | 'onFenced' | 'onProcessDeath'>): Surroundings {
  const { world, engine, busLatency = { baseMs: 0.1, jitterMs: 0.3 } } = options
  let lastNonce = 0
  return {
    world, options, ...events,
    bus: new SimBus({ world, latency: () => busLatency, freezePayloads: engine === 'checked', knowsReceivers: false }),
    broker: new SimBroker({ world, ttlMs: LEASE_TIMES.ttlMs }),
    kv: new SimKvNetwork({ world }),
    nextNonce: () => ++lastNonce,
  }
}
