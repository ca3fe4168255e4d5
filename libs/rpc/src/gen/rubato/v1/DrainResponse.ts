// Original file: proto/rubato/v1/cluster.proto


export interface DrainResponse {
  'instanceId'?: (string);
}

export interface DrainResponse__Output {
  'instanceId': (string);
}
