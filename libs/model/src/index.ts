export type { SamplingParams, TokenLogprobs } from './sampling/params.ts'
export type {
  Cell, Decode, Engine, EngineCommand, EngineResult, EngineShape, ExportBlocksCommand, ExportBlocksResult, InstallBlocksCommand, InstallBlocksResult,
  SequenceSpec, StepCommand, StepFinish, StepResult, StepTokens, TokenTree,
} from './engine/step.ts'
