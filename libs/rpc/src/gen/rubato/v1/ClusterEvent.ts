// Original file: proto/rubato/v1/cluster.proto

import type { ClusterEventKind as _rubato_v1_ClusterEventKind, ClusterEventKind__Output as _rubato_v1_ClusterEventKind__Output } from '../../rubato/v1/ClusterEventKind.ts';
import type { Instance as _rubato_v1_Instance, Instance__Output as _rubato_v1_Instance__Output } from '../../rubato/v1/Instance.ts';

export interface ClusterEvent {
  'kind'?: (_rubato_v1_ClusterEventKind);
  'instance'?: (_rubato_v1_Instance | null);
  'initial'?: (boolean);
  'numRecoveries'?: (number);
}

export interface ClusterEvent__Output {
  'kind': (_rubato_v1_ClusterEventKind__Output);
  'instance': (_rubato_v1_Instance__Output | null);
  'initial': (boolean);
  'numRecoveries': (number);
}
