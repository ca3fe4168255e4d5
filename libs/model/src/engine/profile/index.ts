export { ROOM_TOKENS, profileModel } from './profile-engine.ts'
export { parseProfile } from './profile-file.ts'
export { profilePlan } from './profile-plan.ts'

export type { ProfilePlanPoint } from './profile-plan.ts'
