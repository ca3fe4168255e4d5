// Original file: proto/rubato/v1/kv_transfer.proto

import type { Long } from '@grpc/proto-loader';

export interface PullRequest {
  'token'?: (string);
  'requestId'?: (string);
  'recovery'?: (number);
  'hop'?: (number);
  'modelFingerprint'?: (string);
  'numBlocks'?: (number);
  'blockBytes'?: (number | string | Long);
  'transferId'?: (number);
}

export interface PullRequest__Output {
  'token': (string);
  'requestId': (string);
  'recovery': (number);
  'hop': (number);
  'modelFingerprint': (string);
  'numBlocks': (number);
  'blockBytes': (number);
  'transferId': (number);
}
