// Original file: proto/rubato/v1/cluster.proto


export interface UndrainRequest {
  'instance'?: (string);
}

export interface UndrainRequest__Output {
  'instance': (string);
}
