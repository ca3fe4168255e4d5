// Original file: proto/rubato/v1/draft.proto


export interface DraftBias {
  'tokenId'?: (number);
  'bias'?: (number | string);
}

export interface DraftBias__Output {
  'tokenId': (number);
  'bias': (number);
}
