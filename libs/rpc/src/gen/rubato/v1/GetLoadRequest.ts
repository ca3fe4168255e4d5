// Original file: proto/rubato/v1/cluster.proto


export interface GetLoadRequest {
  'instance'?: (string);
}

export interface GetLoadRequest__Output {
  'instance': (string);
}
