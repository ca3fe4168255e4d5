// Original file: proto/rubato/v1/draft.proto

import type { DraftCurve as _rubato_v1_DraftCurve, DraftCurve__Output as _rubato_v1_DraftCurve__Output } from '../../rubato/v1/DraftCurve.ts';
import type { DraftSequence as _rubato_v1_DraftSequence, DraftSequence__Output as _rubato_v1_DraftSequence__Output } from '../../rubato/v1/DraftSequence.ts';

export interface DraftAsk {
  'askId'?: (number);
  'remainingMs'?: (number | string);
  'depth'?: (number);
  'width'?: (number);
  'calibration'?: (_rubato_v1_DraftCurve)[];
  'leastProbability'?: (number | string);
  'sequences'?: (_rubato_v1_DraftSequence)[];
}

export interface DraftAsk__Output {
  'askId': (number);
  'remainingMs': (number);
  'depth': (number);
  'width': (number);
  'calibration': (_rubato_v1_DraftCurve__Output)[];
  'leastProbability': (number);
  'sequences': (_rubato_v1_DraftSequence__Output)[];
}
