// Original file: proto/rubato/v1/inference.proto


export interface Slo {
  'ttftMs'?: (number | string);
  'tpotMs'?: (number | string);
  '_ttftMs'?: "ttftMs";
  '_tpotMs'?: "tpotMs";
}

export interface Slo__Output {
  'ttftMs'?: (number);
  'tpotMs'?: (number);
  '_ttftMs'?: "ttftMs";
  '_tpotMs'?: "tpotMs";
}
