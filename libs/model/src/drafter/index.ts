export { openDraftModel } from './open-draft-model.ts'
export type { DraftLimits, DraftModel, DraftRequest } from './draft-model.ts'
export type { DraftModelOptions, OpenedDraftModel } from './open-draft-model.ts'
