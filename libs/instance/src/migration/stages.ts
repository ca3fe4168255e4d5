// When a live request's next stage begins, and when it is the last: Llumnix (OSDI'24) §4.2.
//
//   copying full blocks (decoding goes on) -> copied -> copying what was added meanwhile -> ... -> suspended -> handed over
//
// 1. A stage begins when all of the one before it was sent.
// 2. The last one begins between two steps: the request leaves the batch there.
// Deviation: past `maxStages` the request is suspended with what is left, where Llumnix gives up: the rest is bounded by
// one stage's growth, and a copy that was nearly done is not thrown away.
import type { OutgoingHandOff } from '../hand-off/outgoing.ts'

/** Full blocks of one choice that may be left for the last stage: what one step can complete. The partial one comes on top. */
const LAST_STAGE_BLOCKS = 1

export type NextStage = 'wait' | 'copy' | 'suspend'

export function nextStage(outgoing: OutgoingHandOff, isBetweenSteps: boolean): NextStage {
  if (outgoing.request.state === 'handing' || !outgoing.isSent) return 'wait'
  const isLast = outgoing.live!.numStages >= outgoing.live!.maxStages || outgoing.tracks.every((track) => outgoing.finalBlocks(track) - track.nextBlock <= LAST_STAGE_BLOCKS)
  if (!isLast) return 'copy'
  return isBetweenSteps ? 'suspend' : 'wait'
}
