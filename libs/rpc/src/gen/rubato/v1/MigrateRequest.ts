// Original file: proto/rubato/v1/cluster.proto


export interface MigrateRequest {
  'requestId'?: (string);
  'instance'?: (string);
}

export interface MigrateRequest__Output {
  'requestId': (string);
  'instance': (string);
}
