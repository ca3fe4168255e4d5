// What is done to a fleet under load, drawn from a seed: every kind of fault once in each round, in another order each time.
import type { RandomStream } from '@rubato/sim'
import type { ServiceKind } from '../fleet/service-process.ts'

export type Fault =
  /** kill -9; it is started again by and by. */
  | { readonly kind: 'kill'; readonly target: ServiceKind; readonly downMs: number }
  /** SIGSTOP, SIGCONT: longer than a lease lasts. */
  | { readonly kind: 'freeze'; readonly target: ServiceKind; readonly forMs: number }
  | { readonly kind: 'restart-broker'; readonly downMs: number }

export interface ScheduledFault {
  /** Quiet time before it, from the end of the one before. */
  readonly afterMs: number
  readonly fault: Fault
  /** Which of its kind, by index modulo how many there are. */
  readonly pick: number
}

const FREEZE_MS = 3000
const GAP_MS = { least: 1000, most: 3000 } as const
const DOWN_MS = { least: 0, most: 1000 } as const

function faultsOf(kinds: readonly ServiceKind[], random: RandomStream): Fault[] {
  const downMs = (): number => Math.round(random.between(DOWN_MS.least, DOWN_MS.most))
  return [
    ...kinds.map((target): Fault => ({ kind: 'kill', target, downMs: downMs() })),
    ...kinds.map((target): Fault => ({ kind: 'freeze', target, forMs: FREEZE_MS })),
    { kind: 'restart-broker', downMs: downMs() },
  ]
}

function shuffled<T>(items: readonly T[], random: RandomStream): T[] {
  const left = [...items]
  return items.map(() => left.splice(Math.floor(random.next() * left.length), 1)[0]!)
}

/** Endless; equal streams give equal schedules. */
export function* chaosSchedule(kinds: readonly ServiceKind[], random: RandomStream): Generator<ScheduledFault, never> {
  for (;;) {
    for (const fault of shuffled(faultsOf(kinds, random), random)) {
      yield { afterMs: Math.round(random.between(GAP_MS.least, GAP_MS.most)), fault, pick: Math.floor(random.next() * 1024) }
    }
  }
}

/** One round: how many faults it takes until every kind was done once. */
export function faultsPerRound(kinds: readonly ServiceKind[]): number {
  return 2 * kinds.length + 1
}

export function faultName(fault: Fault): string {
  return fault.kind === 'restart-broker' ? 'nats-server restarted' : `${fault.target} ${fault.kind === 'kill' ? 'killed' : 'frozen'}`
}
