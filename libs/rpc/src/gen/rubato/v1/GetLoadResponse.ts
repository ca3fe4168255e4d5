// Original file: proto/rubato/v1/cluster.proto

import type { Load as _rubato_v1_Load, Load__Output as _rubato_v1_Load__Output } from '../../rubato/v1/Load.ts';

export interface GetLoadResponse {
  'loads'?: (_rubato_v1_Load)[];
}

export interface GetLoadResponse__Output {
  'loads': (_rubato_v1_Load__Output)[];
}
