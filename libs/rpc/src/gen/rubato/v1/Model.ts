// Original file: proto/rubato/v1/inference.proto

import type { Long } from '@grpc/proto-loader';

export interface Model {
  'id'?: (string);
  'maxModelLen'?: (number);
  'createdS'?: (number | string | Long);
}

export interface Model__Output {
  'id': (string);
  'maxModelLen': (number);
  'createdS': (number);
}
