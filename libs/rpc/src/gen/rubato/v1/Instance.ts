// Original file: proto/rubato/v1/cluster.proto

import type { Role as _rubato_v1_Role, Role__Output as _rubato_v1_Role__Output } from '../../rubato/v1/Role.ts';
import type { Long } from '@grpc/proto-loader';

export interface Instance {
  'instanceId'?: (string);
  'name'?: (string);
  'incarnation'?: (number | string | Long);
  'role'?: (_rubato_v1_Role);
  'draining'?: (boolean);
  'numRequests'?: (number);
  'silentMs'?: (number | string);
  'modelFingerprint'?: (string);
  'kvAddress'?: (string);
  '_kvAddress'?: "kvAddress";
}

export interface Instance__Output {
  'instanceId': (string);
  'name': (string);
  'incarnation': (number);
  'role': (_rubato_v1_Role__Output);
  'draining': (boolean);
  'numRequests': (number);
  'silentMs': (number);
  'modelFingerprint': (string);
  'kvAddress'?: (string);
  '_kvAddress'?: "kvAddress";
}
