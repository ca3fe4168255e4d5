// Original file: proto/rubato/v1/inference.proto

import type { ChatMessages as _rubato_v1_ChatMessages, ChatMessages__Output as _rubato_v1_ChatMessages__Output } from '../../rubato/v1/ChatMessages.ts';
import type { TokenIds as _rubato_v1_TokenIds, TokenIds__Output as _rubato_v1_TokenIds__Output } from '../../rubato/v1/TokenIds.ts';
import type { SamplingParams as _rubato_v1_SamplingParams, SamplingParams__Output as _rubato_v1_SamplingParams__Output } from '../../rubato/v1/SamplingParams.ts';
import type { Slo as _rubato_v1_Slo, Slo__Output as _rubato_v1_Slo__Output } from '../../rubato/v1/Slo.ts';
import type { ResponseFormat as _rubato_v1_ResponseFormat, ResponseFormat__Output as _rubato_v1_ResponseFormat__Output } from '../../rubato/v1/ResponseFormat.ts';

export interface GenerateRequest {
  'requestId'?: (string);
  'resumeFromIndex'?: (number);
  'model'?: (string);
  'prompt'?: (string);
  'messages'?: (_rubato_v1_ChatMessages | null);
  'tokenIds'?: (_rubato_v1_TokenIds | null);
  'sampling'?: (_rubato_v1_SamplingParams | null);
  'slo'?: (_rubato_v1_Slo | null);
  'priority'?: (number);
  'cacheSalt'?: (string);
  'responseFormat'?: (_rubato_v1_ResponseFormat | null);
  '_resumeFromIndex'?: "resumeFromIndex";
  'input'?: "prompt"|"messages"|"tokenIds";
  '_responseFormat'?: "responseFormat";
}

export interface GenerateRequest__Output {
  'requestId': (string);
  'resumeFromIndex'?: (number);
  'model': (string);
  'prompt'?: (string);
  'messages'?: (_rubato_v1_ChatMessages__Output | null);
  'tokenIds'?: (_rubato_v1_TokenIds__Output | null);
  'sampling': (_rubato_v1_SamplingParams__Output | null);
  'slo': (_rubato_v1_Slo__Output | null);
  'priority': (number);
  'cacheSalt': (string);
  'responseFormat'?: (_rubato_v1_ResponseFormat__Output | null);
  '_resumeFromIndex'?: "resumeFromIndex";
  'input'?: "prompt"|"messages"|"tokenIds";
  '_responseFormat'?: "responseFormat";
}
