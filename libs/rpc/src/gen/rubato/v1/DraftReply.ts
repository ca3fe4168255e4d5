// Original file: proto/rubato/v1/draft.proto

import type { DraftAnswer as _rubato_v1_DraftAnswer, DraftAnswer__Output as _rubato_v1_DraftAnswer__Output } from '../../rubato/v1/DraftAnswer.ts';
import type { DraftRefused as _rubato_v1_DraftRefused, DraftRefused__Output as _rubato_v1_DraftRefused__Output } from '../../rubato/v1/DraftRefused.ts';

export interface DraftReply {
  'answer'?: (_rubato_v1_DraftAnswer | null);
  'refused'?: (_rubato_v1_DraftRefused | null);
  'body'?: "answer"|"refused";
}

export interface DraftReply__Output {
  'answer'?: (_rubato_v1_DraftAnswer__Output | null);
  'refused'?: (_rubato_v1_DraftRefused__Output | null);
  'body'?: "answer"|"refused";
}
