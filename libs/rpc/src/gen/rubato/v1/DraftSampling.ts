// Original file: proto/rubato/v1/draft.proto

import type { DraftBias as _rubato_v1_DraftBias, DraftBias__Output as _rubato_v1_DraftBias__Output } from '../../rubato/v1/DraftBias.ts';
import type { Long } from '@grpc/proto-loader';

export interface DraftSampling {
  'maxTokens'?: (number);
  'minTokens'?: (number);
  'temperature'?: (number | string);
  'topP'?: (number | string);
  'topK'?: (number);
  'minP'?: (number | string);
  'presencePenalty'?: (number | string);
  'frequencyPenalty'?: (number | string);
  'repetitionPenalty'?: (number | string);
  'logitBias'?: (_rubato_v1_DraftBias)[];
  'seed'?: (number | string | Long);
  'stopTokenIds'?: (number)[];
  'ignoreEos'?: (boolean);
}

export interface DraftSampling__Output {
  'maxTokens': (number);
  'minTokens': (number);
  'temperature': (number);
  'topP': (number);
  'topK': (number);
  'minP': (number);
  'presencePenalty': (number);
  'frequencyPenalty': (number);
  'repetitionPenalty': (number);
  'logitBias': (_rubato_v1_DraftBias__Output)[];
  'seed': (number);
  'stopTokenIds': (number)[];
  'ignoreEos': (boolean);
}
