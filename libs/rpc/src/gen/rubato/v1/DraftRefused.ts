// Original file: proto/rubato/v1/draft.proto


export interface DraftRefused {
  'askId'?: (number);
  'reason'?: (string);
  'message'?: (string);
}

export interface DraftRefused__Output {
  'askId': (number);
  'reason': (string);
  'message': (string);
}
