// Original file: proto/rubato/v1/inference.proto

import type { Long } from '@grpc/proto-loader';

export interface SamplingParams {
  'maxTokens'?: (number);
  'minTokens'?: (number);
  'temperature'?: (number | string);
  'topP'?: (number | string);
  'topK'?: (number);
  'minP'?: (number | string);
  'presencePenalty'?: (number | string);
  'frequencyPenalty'?: (number | string);
  'repetitionPenalty'?: (number | string);
  'logitBias'?: ({[key: number]: number | string});
  'seed'?: (number | string | Long);
  'stop'?: (string)[];
  'stopTokenIds'?: (number)[];
  'ignoreEos'?: (boolean);
  'logprobs'?: (number);
  'n'?: (number);
  '_maxTokens'?: "maxTokens";
  '_minTokens'?: "minTokens";
  '_temperature'?: "temperature";
  '_topP'?: "topP";
  '_topK'?: "topK";
  '_minP'?: "minP";
  '_presencePenalty'?: "presencePenalty";
  '_frequencyPenalty'?: "frequencyPenalty";
  '_repetitionPenalty'?: "repetitionPenalty";
  '_seed'?: "seed";
  '_logprobs'?: "logprobs";
  '_n'?: "n";
}

export interface SamplingParams__Output {
  'maxTokens'?: (number);
  'minTokens'?: (number);
  'temperature'?: (number);
  'topP'?: (number);
  'topK'?: (number);
  'minP'?: (number);
  'presencePenalty'?: (number);
  'frequencyPenalty'?: (number);
  'repetitionPenalty'?: (number);
  'logitBias': ({[key: number]: number});
  'seed'?: (number);
  'stop': (string)[];
  'stopTokenIds': (number)[];
  'ignoreEos': (boolean);
  'logprobs'?: (number);
  'n'?: (number);
  '_maxTokens'?: "maxTokens";
  '_minTokens'?: "minTokens";
  '_temperature'?: "temperature";
  '_topP'?: "topP";
  '_topK'?: "topK";
  '_minP'?: "minP";
  '_presencePenalty'?: "presencePenalty";
  '_frequencyPenalty'?: "frequencyPenalty";
  '_repetitionPenalty'?: "repetitionPenalty";
  '_seed'?: "seed";
  '_logprobs'?: "logprobs";
  '_n'?: "n";
}
