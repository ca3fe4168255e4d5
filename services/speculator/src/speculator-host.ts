// A speculator in this process: its actor on whatever bus the shell has, over one draft model.
import type { Address } from '@rubato/actor'
import type { DraftRequestMessage } from '@rubato/model'
import type { LiveActor, LiveShell } from '@rubato/runtime'
import { SpeculatorActor } from './actor/speculator-actor.ts'
import type { SpeculatorConfig } from './actor/speculator-actor.ts'
import type { DraftModelHost } from './engine/draft-engine.ts'
import { draftRunEffects } from './engine/draft-run-effects.ts'

export interface SpeculatorHostOptions {
  readonly shell: LiveShell
  readonly address: Address
  readonly config: SpeculatorConfig
  readonly engine: DraftModelHost
}

export interface SpeculatorHost {
  readonly actor: SpeculatorActor
  /** Hands it a message at once, past the bus. */
  deliver(from: Address, message: DraftRequestMessage): void
  /** Ends every session; nobody is drafted for any more. */
  drain(): void
  stop(): Promise<unknown>
}

/** Where the actor's own process speaks to it from. */
const SELF: Address = 'process'

export function hostSpeculator({ shell, address, config, engine }: SpeculatorHostOptions): SpeculatorHost {
  const actor = new SpeculatorActor(config)
  const host: LiveActor = shell.spawn({ address, factory: () => ({ actor, effects: draftRunEffects(engine) }) })
  return {
    actor,
    deliver: (from, message) => host.deliver(from, message),
    drain: () => host.deliver(SELF, { kind: 'drain' }),
    stop: () => host.stop(),
  }
}
