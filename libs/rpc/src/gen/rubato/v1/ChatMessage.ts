// Original file: proto/rubato/v1/inference.proto


export interface ChatMessage {
  'role'?: (string);
  'content'?: (string);
  'name'?: (string);
  '_name'?: "name";
}

export interface ChatMessage__Output {
  'role': (string);
  'content': (string);
  'name'?: (string);
  '_name'?: "name";
}
