// The members of the cluster, as membership tells them, for a process that acts on who comes and goes.
import type { Address } from '@rubato/actor'
import type { Member, MemberEvent, Membership } from '@rubato/bus'

export class MemberDirectory {
  readonly #members = new Map<Address, Member>()
  readonly #listeners = new Set<(event: MemberEvent) => void>()
  readonly #end: () => void

  constructor(membership: Pick<Membership, 'watch'>) {
    this.#end = membership.watch((event) => this.#take(event))
  }

  routers(): Address[] {
    return this.#of('router').map(({ address }) => address)
  }

  instances(): readonly Member[] {
    return this.#of('instance')
  }

  speculators(): readonly Member[] {
    return this.#of('speculator')
  }

  /** Tells the members there are, at once, then every change. Returns its end. */
  subscribe(listener: (event: MemberEvent) => void): () => void {
    for (const member of this.#members.values()) listener({ kind: 'joined', member })
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  close(): void {
    this.#end()
    this.#listeners.clear()
  }

  #of(kind: Member['kind']): Member[] {
    return [...this.#members.values()].filter((member) => member.kind === kind)
  }

  #take(event: MemberEvent): void {
    const { member } = event
    if (event.kind === 'joined') this.#members.set(member.address, member)
    else this.#members.delete(member.address)
    for (const listener of this.#listeners) listener(event)
  }
}
