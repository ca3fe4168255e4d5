export { fixedStepTime, openSyntheticEngine, syntheticCostModel, syntheticShape } from './open-synthetic-engine.ts'
export { SyntheticEngine } from './synthetic-engine.ts'
export { syntheticTokens } from './token-rule.ts'

export type { OpenSyntheticOptions } from './open-synthetic-engine.ts'
export type { StepTime, SyntheticEngineOptions } from './synthetic-engine.ts'
