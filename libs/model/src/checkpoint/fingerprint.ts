// The model fingerprint: names one numerics class. Design: "Rules every protocol shares, Fingerprint".
import { createHash } from 'node:crypto'
import type { ModelConfig } from './checkpoint.ts'

/** Everything that may change a logit, a token id or a prompt. */
export interface FingerprintInput {
  readonly config: ModelConfig
  readonly weightsDigest: string
  readonly tokenizerDigest: string
  /** Null when the checkpoint has no chat template. */
  readonly templateDigest: string | null
  /** Compute precision: float32, int8... */
  readonly dtype: string
  /** Tokens per KV block. */
  readonly blockSize: number
  /** Tokens per prefill cell. */
  readonly cellTokens: number
  readonly graphVersion: string
  /** Execution provider: cpu, cuda, webgpu. */
  readonly provider: string
  /** CPU kernel class (instruction set), because kernels of different width sum in another order. */
  readonly kernelClass: string
}

/** sha256 (hex) over the canonical JSON of `input`: the order of its keys does not matter. */
export function modelFingerprint(input: FingerprintInput): string {
  return createHash('sha256').update(canonicalJson(input)).digest('hex')
}

function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1))
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`
}
