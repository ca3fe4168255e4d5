// Original file: proto/rubato/v1/cluster.proto

export const Role = {
  ROLE_UNSPECIFIED: 'ROLE_UNSPECIFIED',
  ROLE_PREFILL: 'ROLE_PREFILL',
  ROLE_DECODE: 'ROLE_DECODE',
  ROLE_MIXED: 'ROLE_MIXED',
} as const;

export type Role =
  | 'ROLE_UNSPECIFIED'
  | 0
  | 'ROLE_PREFILL'
  | 1
  | 'ROLE_DECODE'
  | 2
  | 'ROLE_MIXED'
  | 3

export type Role__Output = typeof Role[keyof typeof Role]
