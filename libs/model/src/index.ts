export type {
  AnsweredTree, AskedSequence, DraftAnswer, DraftAsk, DraftedTokens, DraftIntroduction, DraftNews, DraftPeer, DraftRefusal, DraftReplyMessage, DraftRequestMessage,
} from './drafter/draft-exchange.ts'
export type { DraftTree } from './drafter/draft-tree.ts'
export type { SamplingParams, TokenLogprobs } from './sampling/params.ts'
export type {
  Cell, Decode, DraftWish, Engine, EngineCommand, EngineResult, EngineShape, ExportBlocksCommand, ExportBlocksResult, InstallBlocksCommand, InstallBlocksResult,
  ResetCommand, ResetResult, SequenceDraft, SequenceSpec, StepDrafts, StepCommand, StepFinish, StepResult, StepTokens, TokenTree,
} from './engine/step.ts'
