// Original file: proto/rubato/v1/kv_transfer.proto


export interface KvFrame {
  'magic'?: (number);
  'transferId'?: (number);
  'recovery'?: (number);
  'hop'?: (number);
  'blockIndex'?: (number);
  'byteOffset'?: (number);
  'payloadBytes'?: (number);
  'checksum'?: (number);
  'payload'?: (Buffer | Uint8Array | string);
}

export interface KvFrame__Output {
  'magic': (number);
  'transferId': (number);
  'recovery': (number);
  'hop': (number);
  'blockIndex': (number);
  'byteOffset': (number);
  'payloadBytes': (number);
  'checksum': (number);
  'payload': (Buffer);
}
