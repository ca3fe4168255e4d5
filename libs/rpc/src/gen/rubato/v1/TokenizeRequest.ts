// Original file: proto/rubato/v1/inference.proto

import type { ChatMessages as _rubato_v1_ChatMessages, ChatMessages__Output as _rubato_v1_ChatMessages__Output } from '../../rubato/v1/ChatMessages.ts';

export interface TokenizeRequest {
  'model'?: (string);
  'text'?: (string);
  'messages'?: (_rubato_v1_ChatMessages | null);
  'addSpecialTokens'?: (boolean);
  'input'?: "text"|"messages";
  '_addSpecialTokens'?: "addSpecialTokens";
}

export interface TokenizeRequest__Output {
  'model': (string);
  'text'?: (string);
  'messages'?: (_rubato_v1_ChatMessages__Output | null);
  'addSpecialTokens'?: (boolean);
  'input'?: "text"|"messages";
  '_addSpecialTokens'?: "addSpecialTokens";
}
