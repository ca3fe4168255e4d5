// Original file: proto/rubato/v1/cluster.proto

import type { Role as _rubato_v1_Role, Role__Output as _rubato_v1_Role__Output } from '../../rubato/v1/Role.ts';

export interface SetRoleRequest {
  'instance'?: (string);
  'role'?: (_rubato_v1_Role);
}

export interface SetRoleRequest__Output {
  'instance': (string);
  'role': (_rubato_v1_Role__Output);
}
