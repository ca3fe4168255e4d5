// Original file: proto/rubato/v1/cluster.proto

import type { Long } from '@grpc/proto-loader';

export interface Load {
  'instanceId'?: (string);
  'silentMs'?: (number | string);
  'numRunning'?: (number);
  'numWaiting'?: (number);
  'pendingPrefillTokens'?: (number | string | Long);
  'contextTokens'?: (number | string | Long);
  'freeBlocks'?: (number);
  'cachedBlocks'?: (number);
  'totalBlocks'?: (number);
  'blockSize'?: (number);
  'freenessBlocks'?: (number | string);
  'lastStepMs'?: (number | string);
  'preemptionsTotal'?: (number | string | Long);
  'prefixQueryTokensTotal'?: (number | string | Long);
  'prefixHitTokensTotal'?: (number | string | Long);
  'maxModelLen'?: (number);
  'pullBytesPerSec'?: (number | string);
  '_pullBytesPerSec'?: "pullBytesPerSec";
}

export interface Load__Output {
  'instanceId': (string);
  'silentMs': (number);
  'numRunning': (number);
  'numWaiting': (number);
  'pendingPrefillTokens': (number);
  'contextTokens': (number);
  'freeBlocks': (number);
  'cachedBlocks': (number);
  'totalBlocks': (number);
  'blockSize': (number);
  'freenessBlocks': (number);
  'lastStepMs': (number);
  'preemptionsTotal': (number);
  'prefixQueryTokensTotal': (number);
  'prefixHitTokensTotal': (number);
  'maxModelLen': (number);
  'pullBytesPerSec'?: (number);
  '_pullBytesPerSec'?: "pullBytesPerSec";
}
