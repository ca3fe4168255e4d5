import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { ChatMessage as _rubato_v1_ChatMessage, ChatMessage__Output as _rubato_v1_ChatMessage__Output } from './rubato/v1/ChatMessage.ts';
import type { ChatMessages as _rubato_v1_ChatMessages, ChatMessages__Output as _rubato_v1_ChatMessages__Output } from './rubato/v1/ChatMessages.ts';
import type { DetokenizeRequest as _rubato_v1_DetokenizeRequest, DetokenizeRequest__Output as _rubato_v1_DetokenizeRequest__Output } from './rubato/v1/DetokenizeRequest.ts';
import type { DetokenizeResponse as _rubato_v1_DetokenizeResponse, DetokenizeResponse__Output as _rubato_v1_DetokenizeResponse__Output } from './rubato/v1/DetokenizeResponse.ts';
import type { GenerateRequest as _rubato_v1_GenerateRequest, GenerateRequest__Output as _rubato_v1_GenerateRequest__Output } from './rubato/v1/GenerateRequest.ts';
import type { GenerateResponse as _rubato_v1_GenerateResponse, GenerateResponse__Output as _rubato_v1_GenerateResponse__Output } from './rubato/v1/GenerateResponse.ts';
import type { InferenceClient as _rubato_v1_InferenceClient, InferenceDefinition as _rubato_v1_InferenceDefinition } from './rubato/v1/Inference.ts';
import type { ListModelsRequest as _rubato_v1_ListModelsRequest, ListModelsRequest__Output as _rubato_v1_ListModelsRequest__Output } from './rubato/v1/ListModelsRequest.ts';
import type { ListModelsResponse as _rubato_v1_ListModelsResponse, ListModelsResponse__Output as _rubato_v1_ListModelsResponse__Output } from './rubato/v1/ListModelsResponse.ts';
import type { Model as _rubato_v1_Model, Model__Output as _rubato_v1_Model__Output } from './rubato/v1/Model.ts';
import type { ResponseFormat as _rubato_v1_ResponseFormat, ResponseFormat__Output as _rubato_v1_ResponseFormat__Output } from './rubato/v1/ResponseFormat.ts';
import type { SamplingParams as _rubato_v1_SamplingParams, SamplingParams__Output as _rubato_v1_SamplingParams__Output } from './rubato/v1/SamplingParams.ts';
import type { Slo as _rubato_v1_Slo, Slo__Output as _rubato_v1_Slo__Output } from './rubato/v1/Slo.ts';
import type { Timing as _rubato_v1_Timing, Timing__Output as _rubato_v1_Timing__Output } from './rubato/v1/Timing.ts';
import type { TokenIds as _rubato_v1_TokenIds, TokenIds__Output as _rubato_v1_TokenIds__Output } from './rubato/v1/TokenIds.ts';
import type { TokenLogprob as _rubato_v1_TokenLogprob, TokenLogprob__Output as _rubato_v1_TokenLogprob__Output } from './rubato/v1/TokenLogprob.ts';
import type { TokenizeRequest as _rubato_v1_TokenizeRequest, TokenizeRequest__Output as _rubato_v1_TokenizeRequest__Output } from './rubato/v1/TokenizeRequest.ts';
import type { TokenizeResponse as _rubato_v1_TokenizeResponse, TokenizeResponse__Output as _rubato_v1_TokenizeResponse__Output } from './rubato/v1/TokenizeResponse.ts';
import type { TopLogprob as _rubato_v1_TopLogprob, TopLogprob__Output as _rubato_v1_TopLogprob__Output } from './rubato/v1/TopLogprob.ts';
import type { Usage as _rubato_v1_Usage, Usage__Output as _rubato_v1_Usage__Output } from './rubato/v1/Usage.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  rubato: {
    v1: {
      ChatMessage: MessageTypeDefinition<_rubato_v1_ChatMessage, _rubato_v1_ChatMessage__Output>
      ChatMessages: MessageTypeDefinition<_rubato_v1_ChatMessages, _rubato_v1_ChatMessages__Output>
      DetokenizeRequest: MessageTypeDefinition<_rubato_v1_DetokenizeRequest, _rubato_v1_DetokenizeRequest__Output>
      DetokenizeResponse: MessageTypeDefinition<_rubato_v1_DetokenizeResponse, _rubato_v1_DetokenizeResponse__Output>
      FinishReason: EnumTypeDefinition
      GenerateRequest: MessageTypeDefinition<_rubato_v1_GenerateRequest, _rubato_v1_GenerateRequest__Output>
      GenerateResponse: MessageTypeDefinition<_rubato_v1_GenerateResponse, _rubato_v1_GenerateResponse__Output>
      Inference: SubtypeConstructor<typeof grpc.Client, _rubato_v1_InferenceClient> & { service: _rubato_v1_InferenceDefinition }
      ListModelsRequest: MessageTypeDefinition<_rubato_v1_ListModelsRequest, _rubato_v1_ListModelsRequest__Output>
      ListModelsResponse: MessageTypeDefinition<_rubato_v1_ListModelsResponse, _rubato_v1_ListModelsResponse__Output>
      Model: MessageTypeDefinition<_rubato_v1_Model, _rubato_v1_Model__Output>
      ResponseFormat: MessageTypeDefinition<_rubato_v1_ResponseFormat, _rubato_v1_ResponseFormat__Output>
      SamplingParams: MessageTypeDefinition<_rubato_v1_SamplingParams, _rubato_v1_SamplingParams__Output>
      Slo: MessageTypeDefinition<_rubato_v1_Slo, _rubato_v1_Slo__Output>
      Timing: MessageTypeDefinition<_rubato_v1_Timing, _rubato_v1_Timing__Output>
      TokenIds: MessageTypeDefinition<_rubato_v1_TokenIds, _rubato_v1_TokenIds__Output>
      TokenLogprob: MessageTypeDefinition<_rubato_v1_TokenLogprob, _rubato_v1_TokenLogprob__Output>
      TokenizeRequest: MessageTypeDefinition<_rubato_v1_TokenizeRequest, _rubato_v1_TokenizeRequest__Output>
      TokenizeResponse: MessageTypeDefinition<_rubato_v1_TokenizeResponse, _rubato_v1_TokenizeResponse__Output>
      TopLogprob: MessageTypeDefinition<_rubato_v1_TopLogprob, _rubato_v1_TopLogprob__Output>
      Usage: MessageTypeDefinition<_rubato_v1_Usage, _rubato_v1_Usage__Output>
    }
  }
}

