// Actors and ports with something broken on purpose: what a bug of that kind would do, from outside.
import type { Actor, Effect, EffectPort, EffectTable, Incoming, Outcome } from '@rubato/actor'
import type { InstanceMessage, InstanceReport } from '@rubato/instance'
import type { SimHosted } from '@rubato/service-rubato/simulated'

export type Wrapped = Pick<SimHosted, 'actor' | 'effects'>
type Said = InstanceMessage | InstanceReport

/** null: it never reaches the actor. */
export type HearChange = (incoming: Incoming<Said>, nowMs: number) => Incoming<Said> | null
/** null: it is never done. */
export type WishChange = (effect: Effect) => Effect | null

export function isInstance({ address }: SimHosted): boolean {
  return address.startsWith('instance/')
}

export function isRouter({ address }: SimHosted): boolean {
  return address.startsWith('router/')
}

/** The actor, which hears and wants something else. */
export function changed({ actor, effects }: SimHosted, { hear = (incoming) => incoming, wish = (effect) => effect }: { readonly hear?: HearChange; readonly wish?: WishChange }): Wrapped {
  const wished = (wanted: readonly Effect[]): readonly Effect[] => wanted.flatMap((effect) => wish(effect) ?? [])
  const other: Actor<unknown> = {
    start: (nowMs) => wished(actor.start(nowMs)),
    receive: (incoming, nowMs) => {
      const heard = hear(incoming as Incoming<Said>, nowMs)
      return heard === null ? [] : wished(actor.receive(heard, nowMs))
    },
  }
  return { actor: other, effects }
}

/** The payload of a send of that kind; null: it is none. */
export function said<K extends Said['kind']>(effect: Effect, kind: K): Extract<Said, { kind: K }> | null {
  if (effect.kind !== 'send') return null
  const { payload } = effect as Effect & { readonly payload: Said }
  return payload.kind === kind ? (payload as Extract<Said, { kind: K }>) : null
}

/** A port whose effects are changed on their way in, and their outcomes on their way out. */
export function changedPort(effects: EffectTable, kind: string, { effect: changeEffect = (effect) => effect, outcome: changeOutcome = (outcome) => outcome }: {
  readonly effect?: (effect: Effect) => Effect
  readonly outcome?: (outcome: Outcome) => Outcome
}): EffectTable {
  const port = effects[kind]
  if (port === undefined) return effects
  const other: EffectPort = {
    limit: port.limit,
    perform: (effect, run) => port.perform(changeEffect(effect), {
      get signal() {
        return run.signal
      },
      onAbort: (listener) => run.onAbort(listener),
      complete: (outcome) => run.complete(changeOutcome(outcome)),
    }),
  }
  return { ...effects, [kind]: other }
}
