// One life of a migrator's process: its actor stands for the lead and follows the cluster, as services/migrator ties them
// together in a live one.
import { DONE } from '@rubato/actor'
import type { Address, EffectTable } from '@rubato/actor'
import { MigratorActor } from '@rubato/service-migrator/actor'
import { SimElection } from '@rubato/sim'
import type { Surroundings } from '../surroundings.ts'
import { Life } from './life.ts'

/** Where the actor's own process speaks to it from. */
const SELF: Address = 'membership'
const ADVICE_LIMIT = 64

export class MigratorProcess {
  readonly life: Life
  readonly name: string
  readonly actor: MigratorActor

  constructor(surroundings: Surroundings, name: string) {
    this.name = name
    this.life = new Life(surroundings, name)
    const candidate = `${name}@${surroundings.nextNonce()}`
    const address = `migrator/${candidate}`
    const election = new SimElection(this.life.leases, { role: 'migrator', candidate })
    const actor = new MigratorActor({ mayAct: (nowMs) => election.isLeader(nowMs) })
    this.actor = actor
    const effects: EffectTable = { advise: { limit: ADVICE_LIMIT, perform: (_effect, run) => run.complete(DONE) } }
    this.life.spawn({ address, factory: () => ({ actor, effects }) })
    this.life.directory.subscribe(({ kind, member }) => {
      if (member.kind === 'instance') this.life.tell(SELF, address, { kind: kind === 'joined' ? 'member-joined' : 'member-lost', address: member.address })
    })
  }

  kill(): void {
    this.life.kill()
  }
}
