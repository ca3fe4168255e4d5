// Original file: proto/rubato/v1/cluster.proto


export interface MigrateResponse {
  'instanceId'?: (string);
}

export interface MigrateResponse__Output {
  'instanceId': (string);
}
