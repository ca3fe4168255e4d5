// Original file: proto/rubato/v1/inference.proto

import type { Model as _rubato_v1_Model, Model__Output as _rubato_v1_Model__Output } from '../../rubato/v1/Model.ts';

export interface ListModelsResponse {
  'models'?: (_rubato_v1_Model)[];
}

export interface ListModelsResponse__Output {
  'models': (_rubato_v1_Model__Output)[];
}
