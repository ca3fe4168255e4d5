// Original file: proto/rubato/v1/inference.proto


export interface Timing {
  'queueMs'?: (number | string);
  'prefillMs'?: (number | string);
  'ttftMs'?: (number | string);
  'tpotMs'?: (number | string);
  'acceptedDraftTokens'?: (number);
  'migrations'?: (number);
  'recoveries'?: (number);
  '_tpotMs'?: "tpotMs";
}

export interface Timing__Output {
  'queueMs': (number);
  'prefillMs': (number);
  'ttftMs': (number);
  'tpotMs'?: (number);
  'acceptedDraftTokens': (number);
  'migrations': (number);
  'recoveries': (number);
  '_tpotMs'?: "tpotMs";
}
