// Original file: proto/rubato/v1/inference.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { DetokenizeRequest as _rubato_v1_DetokenizeRequest, DetokenizeRequest__Output as _rubato_v1_DetokenizeRequest__Output } from '../../rubato/v1/DetokenizeRequest.ts';
import type { DetokenizeResponse as _rubato_v1_DetokenizeResponse, DetokenizeResponse__Output as _rubato_v1_DetokenizeResponse__Output } from '../../rubato/v1/DetokenizeResponse.ts';
import type { GenerateRequest as _rubato_v1_GenerateRequest, GenerateRequest__Output as _rubato_v1_GenerateRequest__Output } from '../../rubato/v1/GenerateRequest.ts';
import type { GenerateResponse as _rubato_v1_GenerateResponse, GenerateResponse__Output as _rubato_v1_GenerateResponse__Output } from '../../rubato/v1/GenerateResponse.ts';
import type { ListModelsRequest as _rubato_v1_ListModelsRequest, ListModelsRequest__Output as _rubato_v1_ListModelsRequest__Output } from '../../rubato/v1/ListModelsRequest.ts';
import type { ListModelsResponse as _rubato_v1_ListModelsResponse, ListModelsResponse__Output as _rubato_v1_ListModelsResponse__Output } from '../../rubato/v1/ListModelsResponse.ts';
import type { TokenizeRequest as _rubato_v1_TokenizeRequest, TokenizeRequest__Output as _rubato_v1_TokenizeRequest__Output } from '../../rubato/v1/TokenizeRequest.ts';
import type { TokenizeResponse as _rubato_v1_TokenizeResponse, TokenizeResponse__Output as _rubato_v1_TokenizeResponse__Output } from '../../rubato/v1/TokenizeResponse.ts';

export interface InferenceClient extends grpc.Client {
  Detokenize(argument: _rubato_v1_DetokenizeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_DetokenizeResponse__Output>): grpc.ClientUnaryCall;
  Detokenize(argument: _rubato_v1_DetokenizeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_DetokenizeResponse__Output>): grpc.ClientUnaryCall;
  Detokenize(argument: _rubato_v1_DetokenizeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_DetokenizeResponse__Output>): grpc.ClientUnaryCall;
  Detokenize(argument: _rubato_v1_DetokenizeRequest, callback: grpc.requestCallback<_rubato_v1_DetokenizeResponse__Output>): grpc.ClientUnaryCall;
  detokenize(argument: _rubato_v1_DetokenizeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_DetokenizeResponse__Output>): grpc.ClientUnaryCall;
  detokenize(argument: _rubato_v1_DetokenizeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_DetokenizeResponse__Output>): grpc.ClientUnaryCall;
  detokenize(argument: _rubato_v1_DetokenizeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_DetokenizeResponse__Output>): grpc.ClientUnaryCall;
  detokenize(argument: _rubato_v1_DetokenizeRequest, callback: grpc.requestCallback<_rubato_v1_DetokenizeResponse__Output>): grpc.ClientUnaryCall;
  
  Generate(argument: _rubato_v1_GenerateRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_rubato_v1_GenerateResponse__Output>;
  Generate(argument: _rubato_v1_GenerateRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_rubato_v1_GenerateResponse__Output>;
  generate(argument: _rubato_v1_GenerateRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_rubato_v1_GenerateResponse__Output>;
  generate(argument: _rubato_v1_GenerateRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_rubato_v1_GenerateResponse__Output>;
  
  ListModels(argument: _rubato_v1_ListModelsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_ListModelsResponse__Output>): grpc.ClientUnaryCall;
  ListModels(argument: _rubato_v1_ListModelsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_ListModelsResponse__Output>): grpc.ClientUnaryCall;
  ListModels(argument: _rubato_v1_ListModelsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_ListModelsResponse__Output>): grpc.ClientUnaryCall;
  ListModels(argument: _rubato_v1_ListModelsRequest, callback: grpc.requestCallback<_rubato_v1_ListModelsResponse__Output>): grpc.ClientUnaryCall;
  listModels(argument: _rubato_v1_ListModelsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_ListModelsResponse__Output>): grpc.ClientUnaryCall;
  listModels(argument: _rubato_v1_ListModelsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_ListModelsResponse__Output>): grpc.ClientUnaryCall;
  listModels(argument: _rubato_v1_ListModelsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_ListModelsResponse__Output>): grpc.ClientUnaryCall;
  listModels(argument: _rubato_v1_ListModelsRequest, callback: grpc.requestCallback<_rubato_v1_ListModelsResponse__Output>): grpc.ClientUnaryCall;
  
  Tokenize(argument: _rubato_v1_TokenizeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_TokenizeResponse__Output>): grpc.ClientUnaryCall;
  Tokenize(argument: _rubato_v1_TokenizeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_TokenizeResponse__Output>): grpc.ClientUnaryCall;
  Tokenize(argument: _rubato_v1_TokenizeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_TokenizeResponse__Output>): grpc.ClientUnaryCall;
  Tokenize(argument: _rubato_v1_TokenizeRequest, callback: grpc.requestCallback<_rubato_v1_TokenizeResponse__Output>): grpc.ClientUnaryCall;
  tokenize(argument: _rubato_v1_TokenizeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_TokenizeResponse__Output>): grpc.ClientUnaryCall;
  tokenize(argument: _rubato_v1_TokenizeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_rubato_v1_TokenizeResponse__Output>): grpc.ClientUnaryCall;
  tokenize(argument: _rubato_v1_TokenizeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_rubato_v1_TokenizeResponse__Output>): grpc.ClientUnaryCall;
  tokenize(argument: _rubato_v1_TokenizeRequest, callback: grpc.requestCallback<_rubato_v1_TokenizeResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface InferenceHandlers extends grpc.UntypedServiceImplementation {
  Detokenize: grpc.handleUnaryCall<_rubato_v1_DetokenizeRequest__Output, _rubato_v1_DetokenizeResponse>;
  
  Generate: grpc.handleServerStreamingCall<_rubato_v1_GenerateRequest__Output, _rubato_v1_GenerateResponse>;
  
  ListModels: grpc.handleUnaryCall<_rubato_v1_ListModelsRequest__Output, _rubato_v1_ListModelsResponse>;
  
  Tokenize: grpc.handleUnaryCall<_rubato_v1_TokenizeRequest__Output, _rubato_v1_TokenizeResponse>;
  
}

export interface InferenceDefinition extends grpc.ServiceDefinition {
  Detokenize: MethodDefinition<_rubato_v1_DetokenizeRequest, _rubato_v1_DetokenizeResponse, _rubato_v1_DetokenizeRequest__Output, _rubato_v1_DetokenizeResponse__Output>
  Generate: MethodDefinition<_rubato_v1_GenerateRequest, _rubato_v1_GenerateResponse, _rubato_v1_GenerateRequest__Output, _rubato_v1_GenerateResponse__Output>
  ListModels: MethodDefinition<_rubato_v1_ListModelsRequest, _rubato_v1_ListModelsResponse, _rubato_v1_ListModelsRequest__Output, _rubato_v1_ListModelsResponse__Output>
  Tokenize: MethodDefinition<_rubato_v1_TokenizeRequest, _rubato_v1_TokenizeResponse, _rubato_v1_TokenizeRequest__Output, _rubato_v1_TokenizeResponse__Output>
}
