// Original file: proto/rubato/v1/cluster.proto


export interface DrainRequest {
  'instance'?: (string);
}

export interface DrainRequest__Output {
  'instance': (string);
}
