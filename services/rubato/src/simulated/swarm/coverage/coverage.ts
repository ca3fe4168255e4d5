// Counts the state transitions that a run goes through, from what actors are told and what they want done.
import { isSend } from '../check/transition.ts'
import type { Transition } from '../check/transition.ts'
import { InstanceCoverage } from './instance-coverage.ts'
import { RouterCoverage } from './router-coverage.ts'
import { noVisits } from './transitions.ts'
import type { TransitionName, Visits } from './transitions.ts'

export type Visit = (name: TransitionName) => void

export class Coverage {
  readonly #visits = noVisits()
  readonly #router: RouterCoverage
  readonly #instances = new Map<string, InstanceCoverage>()
  readonly #lives = new Set<string>()
  readonly #visit: Visit = (name) => void (this.#visits[name] += 1)

  constructor() {
    this.#router = new RouterCoverage(this.#visit)
  }

  get visits(): Visits {
    return this.#visits
  }

  router(transition: Transition): void {
    if (transition.incoming === null) this.#begins(transition)
    this.#router.see(transition)
  }

  instance(transition: Transition): void {
    const { incoming, process } = transition
    if (incoming === null) {
      this.#begins(transition)
      this.#instances.set(process, new InstanceCoverage(this.#visit))
    }
    this.#instances.get(process)!.see(transition)
  }

  migrator({ effects }: Transition): void {
    if (effects.some((effect) => isSend(effect) && effect.payload.kind === 'migrate')) this.#visit('lease: migrator leads')
  }

  /** A process's stay in the cluster ended by itself. */
  fenced(): void {
    this.#visit('lease: lost by its holder')
  }

  /** A router heard tokens of an older epoch. */
  superseded(): void {
    this.#visit('recovery: superseded owner speaks')
  }

  #begins({ process }: Transition): void {
    if (this.#lives.has(process)) this.#visit('lease: taken again')
    this.#lives.add(process)
  }
}
