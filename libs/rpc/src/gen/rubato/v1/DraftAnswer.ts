// Original file: proto/rubato/v1/draft.proto

import type { DraftTree as _rubato_v1_DraftTree, DraftTree__Output as _rubato_v1_DraftTree__Output } from '../../rubato/v1/DraftTree.ts';

export interface DraftAnswer {
  'askId'?: (number);
  'trees'?: (_rubato_v1_DraftTree)[];
  'unknown'?: (number)[];
  'queueMs'?: (number | string);
  'draftMs'?: (number | string);
}

export interface DraftAnswer__Output {
  'askId': (number);
  'trees': (_rubato_v1_DraftTree__Output)[];
  'unknown': (number)[];
  'queueMs': (number);
  'draftMs': (number);
}
