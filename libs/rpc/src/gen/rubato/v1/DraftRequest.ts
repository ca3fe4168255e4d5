// Original file: proto/rubato/v1/draft.proto

import type { DraftHello as _rubato_v1_DraftHello, DraftHello__Output as _rubato_v1_DraftHello__Output } from '../../rubato/v1/DraftHello.ts';
import type { DraftAsk as _rubato_v1_DraftAsk, DraftAsk__Output as _rubato_v1_DraftAsk__Output } from '../../rubato/v1/DraftAsk.ts';
import type { DraftNews as _rubato_v1_DraftNews, DraftNews__Output as _rubato_v1_DraftNews__Output } from '../../rubato/v1/DraftNews.ts';

export interface DraftRequest {
  'hello'?: (_rubato_v1_DraftHello | null);
  'ask'?: (_rubato_v1_DraftAsk | null);
  'news'?: (_rubato_v1_DraftNews | null);
  'body'?: "hello"|"ask"|"news";
}

export interface DraftRequest__Output {
  'hello'?: (_rubato_v1_DraftHello__Output | null);
  'ask'?: (_rubato_v1_DraftAsk__Output | null);
  'news'?: (_rubato_v1_DraftNews__Output | null);
  'body'?: "hello"|"ask"|"news";
}
