// Original file: proto/rubato/v1/draft.proto


export interface DraftTree {
  'handle'?: (number);
  'numTokens'?: (number);
  'tokenIds'?: (number)[];
  'parents'?: (number)[];
  'ranks'?: (number)[];
  'gaps'?: (number | string)[];
}

export interface DraftTree__Output {
  'handle': (number);
  'numTokens': (number);
  'tokenIds': (number)[];
  'parents': (number)[];
  'ranks': (number)[];
  'gaps': (number)[];
}
