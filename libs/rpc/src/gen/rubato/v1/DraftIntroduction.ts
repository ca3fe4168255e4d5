// Original file: proto/rubato/v1/draft.proto

import type { DraftSampling as _rubato_v1_DraftSampling, DraftSampling__Output as _rubato_v1_DraftSampling__Output } from '../../rubato/v1/DraftSampling.ts';

export interface DraftIntroduction {
  'sequence'?: (number);
  'promptTokens'?: (number);
  'sampling'?: (_rubato_v1_DraftSampling | null);
}

export interface DraftIntroduction__Output {
  'sequence': (number);
  'promptTokens': (number);
  'sampling': (_rubato_v1_DraftSampling__Output | null);
}
