// Original file: proto/rubato/v1/cluster.proto

import type { Instance as _rubato_v1_Instance, Instance__Output as _rubato_v1_Instance__Output } from '../../rubato/v1/Instance.ts';

export interface ListInstancesResponse {
  'instances'?: (_rubato_v1_Instance)[];
}

export interface ListInstancesResponse__Output {
  'instances': (_rubato_v1_Instance__Output)[];
}
