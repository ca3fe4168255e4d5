// A link used in one way, whatever it is like: what adaptation is compared with.
import type { LinkControl } from '@rubato/policy'

export type FixedUse = Pick<LinkControl, 'numLanes' | 'frameBytes' | 'windowBytes'>

export function fixedControl({ numLanes, frameBytes, windowBytes }: FixedUse): LinkControl {
  return {
    numLanes,
    frameBytes,
    windowBytes,
    encoding: 'raw',
    wireRatio: () => 1,
    asked: (_isIdle, nowMs) => ({ askedMs: nowMs, deliveredBytes: 0, deliveredMs: nowMs, firstAskedMs: nowMs }),
    received: () => {},
    echoed: () => {},
  }
}
