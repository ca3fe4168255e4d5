// Original file: proto/rubato/v1/inference.proto


export interface TopLogprob {
  'tokenId'?: (number);
  'logprob'?: (number | string);
  'token'?: (Buffer | Uint8Array | string);
}

export interface TopLogprob__Output {
  'tokenId': (number);
  'logprob': (number);
  'token': (Buffer);
}
