export type {
  ChatMessage, ClientError, ClientErrorCode, ClientEvent, ClientFinish, ClientHandle, ClientInput, ClientRequest, ClientSampling, ClientSink, ModelCard,
  RequestTiming, RouterPort, TextLogprobs, Usage,
} from './client.ts'
