// Original file: proto/rubato/v1/draft.proto

import type { DraftIntroduction as _rubato_v1_DraftIntroduction, DraftIntroduction__Output as _rubato_v1_DraftIntroduction__Output } from '../../rubato/v1/DraftIntroduction.ts';

export interface DraftSequence {
  'handle'?: (number);
  'introduction'?: (_rubato_v1_DraftIntroduction | null);
  'firstToken'?: (number);
  'tokenIds'?: (number)[];
  'maxDepth'?: (number);
}

export interface DraftSequence__Output {
  'handle': (number);
  'introduction': (_rubato_v1_DraftIntroduction__Output | null);
  'firstToken': (number);
  'tokenIds': (number)[];
  'maxDepth': (number);
}
