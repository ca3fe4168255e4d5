// Original file: proto/rubato/v1/inference.proto

import type { ChatMessage as _rubato_v1_ChatMessage, ChatMessage__Output as _rubato_v1_ChatMessage__Output } from '../../rubato/v1/ChatMessage.ts';

export interface ChatMessages {
  'messages'?: (_rubato_v1_ChatMessage)[];
}

export interface ChatMessages__Output {
  'messages': (_rubato_v1_ChatMessage__Output)[];
}
