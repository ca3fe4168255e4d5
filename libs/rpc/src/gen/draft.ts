import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { DraftClient as _rubato_v1_DraftClient, DraftDefinition as _rubato_v1_DraftDefinition } from './rubato/v1/Draft.ts';
import type { DraftAnswer as _rubato_v1_DraftAnswer, DraftAnswer__Output as _rubato_v1_DraftAnswer__Output } from './rubato/v1/DraftAnswer.ts';
import type { DraftAsk as _rubato_v1_DraftAsk, DraftAsk__Output as _rubato_v1_DraftAsk__Output } from './rubato/v1/DraftAsk.ts';
import type { DraftBias as _rubato_v1_DraftBias, DraftBias__Output as _rubato_v1_DraftBias__Output } from './rubato/v1/DraftBias.ts';
import type { DraftCurve as _rubato_v1_DraftCurve, DraftCurve__Output as _rubato_v1_DraftCurve__Output } from './rubato/v1/DraftCurve.ts';
import type { DraftHello as _rubato_v1_DraftHello, DraftHello__Output as _rubato_v1_DraftHello__Output } from './rubato/v1/DraftHello.ts';
import type { DraftIntroduction as _rubato_v1_DraftIntroduction, DraftIntroduction__Output as _rubato_v1_DraftIntroduction__Output } from './rubato/v1/DraftIntroduction.ts';
import type { DraftNews as _rubato_v1_DraftNews, DraftNews__Output as _rubato_v1_DraftNews__Output } from './rubato/v1/DraftNews.ts';
import type { DraftRefused as _rubato_v1_DraftRefused, DraftRefused__Output as _rubato_v1_DraftRefused__Output } from './rubato/v1/DraftRefused.ts';
import type { DraftReply as _rubato_v1_DraftReply, DraftReply__Output as _rubato_v1_DraftReply__Output } from './rubato/v1/DraftReply.ts';
import type { DraftRequest as _rubato_v1_DraftRequest, DraftRequest__Output as _rubato_v1_DraftRequest__Output } from './rubato/v1/DraftRequest.ts';
import type { DraftSampling as _rubato_v1_DraftSampling, DraftSampling__Output as _rubato_v1_DraftSampling__Output } from './rubato/v1/DraftSampling.ts';
import type { DraftSequence as _rubato_v1_DraftSequence, DraftSequence__Output as _rubato_v1_DraftSequence__Output } from './rubato/v1/DraftSequence.ts';
import type { DraftTree as _rubato_v1_DraftTree, DraftTree__Output as _rubato_v1_DraftTree__Output } from './rubato/v1/DraftTree.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  rubato: {
    v1: {
      Draft: SubtypeConstructor<typeof grpc.Client, _rubato_v1_DraftClient> & { service: _rubato_v1_DraftDefinition }
      DraftAnswer: MessageTypeDefinition<_rubato_v1_DraftAnswer, _rubato_v1_DraftAnswer__Output>
      DraftAsk: MessageTypeDefinition<_rubato_v1_DraftAsk, _rubato_v1_DraftAsk__Output>
      DraftBias: MessageTypeDefinition<_rubato_v1_DraftBias, _rubato_v1_DraftBias__Output>
      DraftCurve: MessageTypeDefinition<_rubato_v1_DraftCurve, _rubato_v1_DraftCurve__Output>
      DraftHello: MessageTypeDefinition<_rubato_v1_DraftHello, _rubato_v1_DraftHello__Output>
      DraftIntroduction: MessageTypeDefinition<_rubato_v1_DraftIntroduction, _rubato_v1_DraftIntroduction__Output>
      DraftNews: MessageTypeDefinition<_rubato_v1_DraftNews, _rubato_v1_DraftNews__Output>
      DraftRefused: MessageTypeDefinition<_rubato_v1_DraftRefused, _rubato_v1_DraftRefused__Output>
      DraftReply: MessageTypeDefinition<_rubato_v1_DraftReply, _rubato_v1_DraftReply__Output>
      DraftRequest: MessageTypeDefinition<_rubato_v1_DraftRequest, _rubato_v1_DraftRequest__Output>
      DraftSampling: MessageTypeDefinition<_rubato_v1_DraftSampling, _rubato_v1_DraftSampling__Output>
      DraftSequence: MessageTypeDefinition<_rubato_v1_DraftSequence, _rubato_v1_DraftSequence__Output>
      DraftTree: MessageTypeDefinition<_rubato_v1_DraftTree, _rubato_v1_DraftTree__Output>
    }
  }
}

