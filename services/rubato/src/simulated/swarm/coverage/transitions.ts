// Every transition that a campaign must have met, by the state machine that it belongs to; a campaign that misses one proves nothing
// about it. Diagrams: router-actor.ts, hand-off/source.ts, hand-off/destination.ts, placement/losses.ts, sim-lease.ts.

export const TRANSITIONS = [
  'request: dispatched alone', 'request: dispatched to a pair', 'request: first token', 'request: finished', 'request: cancelled', 'request: deadline passed',
  'request: gap asked for again', 'request: refused while draining', 'request: refused as superseded',
  'recovery: instance gone', 'recovery: instance lease lost', 'recovery: dispatched again', 'recovery: with tokens', 'recovery: superseded owner speaks', 'recovery: speaker told to stop',
  'suspect: dispatched guarded', 'suspect: asks to begin', 'suspect: let begin',
  'resume: located asked', 'resume: found', 'resume: attached', 'resume: computed anew',
  'hand-off source: reserving', 'hand-off source: reserved', 'hand-off source: declined', 'hand-off source: offered', 'hand-off source: serve failed',
  'hand-off source: not pulled', 'hand-off source: handed', 'hand-off source: taken', 'hand-off source: declined once handed', 'hand-off source: destination gone',
  'migration source: reserving', 'migration source: reserved', 'migration source: declined', 'migration source: offered', 'migration source: serve failed',
  'migration source: not pulled', 'migration source: handed', 'migration source: taken', 'migration source: destination gone',
  'hand-off destination: reserved', 'hand-off destination: declined', 'hand-off destination: pulled', 'hand-off destination: pull failed',
  'hand-off destination: handed', 'hand-off destination: taken', 'hand-off destination: aborted', 'hand-off destination: source gone',
  'migration destination: reserved', 'migration destination: declined', 'migration destination: pulled', 'migration destination: pull failed',
  'migration destination: handed', 'migration destination: taken', 'migration destination: aborted', 'migration destination: source gone',
  'instance: preempted', 'instance: prefix hit', 'instance: engine died', 'instance: orphaned', 'instance: draining', 'instance: drained', 'instance: serving again', 'instance: role changed',
  'lease: lost by its holder', 'lease: taken again', 'lease: router lost', 'lease: migrator leads',
  'speculation: tree verified', 'speculation: draft accepted', 'speculation: draft rejected', 'speculation: none',
] as const

export type TransitionName = (typeof TRANSITIONS)[number]

/** Visits by transition. */
export type Visits = Readonly<Record<TransitionName, number>>

export function noVisits(): Record<TransitionName, number> {
  return Object.fromEntries(TRANSITIONS.map((name) => [name, 0])) as Record<TransitionName, number>
}

/** Adds visits to others. */
export function addVisits(sum: Record<TransitionName, number>, visits: Visits): void {
  for (const name of TRANSITIONS) sum[name] += visits[name]
}

export function unvisited(visits: Visits): readonly TransitionName[] {
  return TRANSITIONS.filter((name) => visits[name] === 0)
}
