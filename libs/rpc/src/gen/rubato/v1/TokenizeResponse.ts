// Original file: proto/rubato/v1/inference.proto


export interface TokenizeResponse {
  'tokenIds'?: (number)[];
  'maxModelLen'?: (number);
}

export interface TokenizeResponse__Output {
  'tokenIds': (number)[];
  'maxModelLen': (number);
}
