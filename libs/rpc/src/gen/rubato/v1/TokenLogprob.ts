// Original file: proto/rubato/v1/inference.proto

import type { TopLogprob as _rubato_v1_TopLogprob, TopLogprob__Output as _rubato_v1_TopLogprob__Output } from '../../rubato/v1/TopLogprob.ts';

export interface TokenLogprob {
  'tokenId'?: (number);
  'logprob'?: (number | string);
  'rank'?: (number);
  'token'?: (Buffer | Uint8Array | string);
  'top'?: (_rubato_v1_TopLogprob)[];
}

export interface TokenLogprob__Output {
  'tokenId': (number);
  'logprob': (number);
  'rank': (number);
  'token': (Buffer);
  'top': (_rubato_v1_TopLogprob__Output)[];
}
