export type {
  AbortMessage, AckMessage, DrainMessage, Epoch, FinishReason, GenerateMessage, GoneMessage, HelloMessage, InstanceMessage, InstanceReport,
  LoadMessage, RefusedMessage, ResendMessage, SequenceTiming, Slo, TokenRun, TokensMessage,
} from './messages.ts'
