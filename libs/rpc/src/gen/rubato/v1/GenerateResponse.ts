// Original file: proto/rubato/v1/inference.proto

import type { TokenLogprob as _rubato_v1_TokenLogprob, TokenLogprob__Output as _rubato_v1_TokenLogprob__Output } from '../../rubato/v1/TokenLogprob.ts';
import type { FinishReason as _rubato_v1_FinishReason, FinishReason__Output as _rubato_v1_FinishReason__Output } from '../../rubato/v1/FinishReason.ts';
import type { Usage as _rubato_v1_Usage, Usage__Output as _rubato_v1_Usage__Output } from '../../rubato/v1/Usage.ts';
import type { Timing as _rubato_v1_Timing, Timing__Output as _rubato_v1_Timing__Output } from '../../rubato/v1/Timing.ts';

export interface GenerateResponse {
  'index'?: (number);
  'text'?: (string);
  'tokenIds'?: (number)[];
  'logprobs'?: (_rubato_v1_TokenLogprob)[];
  'finishReason'?: (_rubato_v1_FinishReason);
  'stopString'?: (string);
  'stopTokenId'?: (number);
  'usage'?: (_rubato_v1_Usage | null);
  'timing'?: (_rubato_v1_Timing | null);
  'systemFingerprint'?: (string);
  'stopReason'?: "stopString"|"stopTokenId";
}

export interface GenerateResponse__Output {
  'index': (number);
  'text': (string);
  'tokenIds': (number)[];
  'logprobs': (_rubato_v1_TokenLogprob__Output)[];
  'finishReason': (_rubato_v1_FinishReason__Output);
  'stopString'?: (string);
  'stopTokenId'?: (number);
  'usage': (_rubato_v1_Usage__Output | null);
  'timing': (_rubato_v1_Timing__Output | null);
  'systemFingerprint': (string);
  'stopReason'?: "stopString"|"stopTokenId";
}
