// Original file: proto/rubato/v1/draft.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { DraftReply as _rubato_v1_DraftReply, DraftReply__Output as _rubato_v1_DraftReply__Output } from '../../rubato/v1/DraftReply.ts';
import type { DraftRequest as _rubato_v1_DraftRequest, DraftRequest__Output as _rubato_v1_DraftRequest__Output } from '../../rubato/v1/DraftRequest.ts';

export interface DraftClient extends grpc.Client {
  Exchange(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_rubato_v1_DraftRequest, _rubato_v1_DraftReply__Output>;
  Exchange(options?: grpc.CallOptions): grpc.ClientDuplexStream<_rubato_v1_DraftRequest, _rubato_v1_DraftReply__Output>;
  exchange(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_rubato_v1_DraftRequest, _rubato_v1_DraftReply__Output>;
  exchange(options?: grpc.CallOptions): grpc.ClientDuplexStream<_rubato_v1_DraftRequest, _rubato_v1_DraftReply__Output>;
  
}

export interface DraftHandlers extends grpc.UntypedServiceImplementation {
  Exchange: grpc.handleBidiStreamingCall<_rubato_v1_DraftRequest__Output, _rubato_v1_DraftReply>;
  
}

export interface DraftDefinition extends grpc.ServiceDefinition {
  Exchange: MethodDefinition<_rubato_v1_DraftRequest, _rubato_v1_DraftReply, _rubato_v1_DraftRequest__Output, _rubato_v1_DraftReply__Output>
}
