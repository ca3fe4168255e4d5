// Original file: proto/rubato/v1/inference.proto


export interface ResponseFormat {
  'type'?: (string);
  'jsonSchema'?: (string);
}

export interface ResponseFormat__Output {
  'type': (string);
  'jsonSchema': (string);
}
