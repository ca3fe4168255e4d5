// Original file: proto/rubato/v1/kv_transfer.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { KvFrame as _rubato_v1_KvFrame, KvFrame__Output as _rubato_v1_KvFrame__Output } from '../../rubato/v1/KvFrame.ts';
import type { PullRequest as _rubato_v1_PullRequest, PullRequest__Output as _rubato_v1_PullRequest__Output } from '../../rubato/v1/PullRequest.ts';

export interface KvTransferClient extends grpc.Client {
  Pull(argument: _rubato_v1_PullRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_rubato_v1_KvFrame__Output>;
  Pull(argument: _rubato_v1_PullRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_rubato_v1_KvFrame__Output>;
  pull(argument: _rubato_v1_PullRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_rubato_v1_KvFrame__Output>;
  pull(argument: _rubato_v1_PullRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_rubato_v1_KvFrame__Output>;
  
}

export interface KvTransferHandlers extends grpc.UntypedServiceImplementation {
  Pull: grpc.handleServerStreamingCall<_rubato_v1_PullRequest__Output, _rubato_v1_KvFrame>;
  
}

export interface KvTransferDefinition extends grpc.ServiceDefinition {
  Pull: MethodDefinition<_rubato_v1_PullRequest, _rubato_v1_KvFrame, _rubato_v1_PullRequest__Output, _rubato_v1_KvFrame__Output>
}
