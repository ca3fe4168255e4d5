// Original file: proto/rubato/v1/draft.proto

import type { DraftSequence as _rubato_v1_DraftSequence, DraftSequence__Output as _rubato_v1_DraftSequence__Output } from '../../rubato/v1/DraftSequence.ts';

export interface DraftNews {
  'sequences'?: (_rubato_v1_DraftSequence)[];
  'forget'?: (number)[];
}

export interface DraftNews__Output {
  'sequences': (_rubato_v1_DraftSequence__Output)[];
  'forget': (number)[];
}
