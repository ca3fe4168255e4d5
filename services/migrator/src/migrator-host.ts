// A migrator in this process, on whatever bus its shell has.
import { DONE } from '@rubato/actor'
import type { Address, EffectTable } from '@rubato/actor'
import type { LiveActor, LiveShell, ProcessLog } from '@rubato/runtime'
import { MigratorActor } from './migrator-actor.ts'
import type { AdviseEffect, MembershipMessage, MigratorConfig } from './migrator-actor.ts'

export interface MigratorHostOptions {
  readonly shell: LiveShell
  readonly address: Address
  readonly config: MigratorConfig
  readonly log: ProcessLog
}

export interface MigratorHost {
  readonly actor: MigratorActor
  tell(message: MembershipMessage): void
  stop(): Promise<unknown>
}

/** Where the actor's own process speaks to it from. */
const SELF: Address = 'membership'

export function hostMigrator({ shell, address, config, log }: MigratorHostOptions): MigratorHost {
  const actor = new MigratorActor(config)
  const advise = (effect: AdviseEffect): void => log.info({ modelFingerprint: effect.modelFingerprint, ...effect.advice }, 'scaling advice')
  const effects: EffectTable = {
    advise: {
      limit: 64,
      perform: (effect, run) => {
        advise(effect as AdviseEffect)
        run.complete(DONE)
      },
    },
  }
  const host: LiveActor = shell.spawn({ address, factory: () => ({ actor, effects }) })
  return { actor, tell: (message) => host.deliver(SELF, message), stop: () => host.stop() }
}
