import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { KvFrame as _rubato_v1_KvFrame, KvFrame__Output as _rubato_v1_KvFrame__Output } from './rubato/v1/KvFrame.ts';
import type { KvTransferClient as _rubato_v1_KvTransferClient, KvTransferDefinition as _rubato_v1_KvTransferDefinition } from './rubato/v1/KvTransfer.ts';
import type { PullRequest as _rubato_v1_PullRequest, PullRequest__Output as _rubato_v1_PullRequest__Output } from './rubato/v1/PullRequest.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  rubato: {
    v1: {
      KvFrame: MessageTypeDefinition<_rubato_v1_KvFrame, _rubato_v1_KvFrame__Output>
      KvTransfer: SubtypeConstructor<typeof grpc.Client, _rubato_v1_KvTransferClient> & { service: _rubato_v1_KvTransferDefinition }
      PullRequest: MessageTypeDefinition<_rubato_v1_PullRequest, _rubato_v1_PullRequest__Output>
    }
  }
}

