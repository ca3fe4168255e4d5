// Original file: proto/rubato/v1/inference.proto


export interface DetokenizeRequest {
  'model'?: (string);
  'tokenIds'?: (number)[];
}

export interface DetokenizeRequest__Output {
  'model': (string);
  'tokenIds': (number)[];
}
