// A link used in one way, whatever it is like: what adaptation is compared with.
import type { KvEncoding, LinkControl } from '@rubato/policy'

export interface FixedUse {
  readonly numLanes: number
  readonly frameBytes: number
  readonly windowBytes: number
  readonly encoding: KvEncoding
}

export function fixedControl({ numLanes, frameBytes, windowBytes, encoding }: FixedUse, wireRatio: (encoding: KvEncoding) => number): LinkControl {
  return {
    numLanes,
    frameBytes,
    windowBytes,
    encoding,
    wireRatio,
    asked: (_isIdle, nowMs) => ({ askedMs: nowMs, deliveredBytes: 0, deliveredMs: nowMs, firstAskedMs: nowMs }),
    received: () => {},
    echoed: () => {},
  }
}
