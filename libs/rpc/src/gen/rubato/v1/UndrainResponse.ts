// Original file: proto/rubato/v1/cluster.proto


export interface UndrainResponse {
  'instanceId'?: (string);
}

export interface UndrainResponse__Output {
  'instanceId': (string);
}
