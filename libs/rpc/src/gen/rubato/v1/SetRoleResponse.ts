// Original file: proto/rubato/v1/cluster.proto


export interface SetRoleResponse {
  'instanceId'?: (string);
}

export interface SetRoleResponse__Output {
  'instanceId': (string);
}
