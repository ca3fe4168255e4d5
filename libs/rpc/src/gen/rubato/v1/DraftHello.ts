// Original file: proto/rubato/v1/draft.proto


export interface DraftHello {
  'instanceId'?: (string);
  'vocabulary'?: (string);
  'vocabSize'?: (number);
  'eosTokenIds'?: (number)[];
}

export interface DraftHello__Output {
  'instanceId': (string);
  'vocabulary': (string);
  'vocabSize': (number);
  'eosTokenIds': (number)[];
}
