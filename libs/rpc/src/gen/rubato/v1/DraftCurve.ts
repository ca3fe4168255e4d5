// Original file: proto/rubato/v1/draft.proto


export interface DraftCurve {
  'bias'?: (number | string);
  'slope'?: (number | string);
  'weight'?: (number | string);
}

export interface DraftCurve__Output {
  'bias': (number);
  'slope': (number);
  'weight': (number);
}
