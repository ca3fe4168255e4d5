export { runCampaign } from './campaign/campaign.ts'
export { renderCampaign } from './campaign/render.ts'
export { explain } from './shrink/explain.ts'
export { runSeed, MIN_HITS } from './run/run-seed.ts'
export { addVisits, noVisits, unvisited } from './coverage/transitions.ts'

export type { Invariant } from './check/violation.ts'
export type { Mutation } from './run/run-plan.ts'
